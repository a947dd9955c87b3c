"""Landing against a real git origin and DVC remote: once, twice, two at a time, and everything that may be wrong."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import Done, Project

from luodi.errors import ArtifactError, NoIdentity, PushRejected, RemoteError
from luodi.project import locks
from luodi.project.origin import Origin
from luodi.registry import promotion, pushing, tags
from luodi.system.processes import Runner

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_process")]

# Lands one model in a process of its own, as a task would.
LAND = """
import json, sys
from luodi.registry import promotion
from luodi.project.origin import Origin
from luodi.system.processes import Runner
model, commit, entries = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
landed = promotion.register(Origin.from_environment(), commit, model, entries, Runner(print))
print(landed.version.name, landed.new)
"""

# As if somebody pushed in the instant between a landing's fetch and its push: the origin moves under the push.
MOVE = """#!/bin/sh
unset GIT_QUARANTINE_PATH
{once}
tree=$(git rev-parse main^{{tree}})
git update-ref refs/heads/main $(git commit-tree "$tree" -p main -m "A colleague was faster")
"""


# As the server of a protected branch: its words must not pass for those of git.
DECLINE = """#!/bin/sh
echo >> asked
echo "main is protected: the rule already exists (fetch first)" >&2
exit 1
"""


def land(ready: Any, quiet: Any, entries: Any = None) -> Any:
    project = ready.project
    return promotion.register(project.origin, head(project), "reviews", entries or ready.entries, quiet)


def head(project: Project) -> str:
    return project.bare("rev-parse", "main")


def refs(project: Project) -> str:
    """All but what was judged last, which moves with each judgement."""
    return project.bare("for-each-ref", "refs/heads", "refs/tags", "refs/luodi/looks")


def move_under_push(project: Project, once: bool) -> None:
    hook = Path(project.origin.git) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(MOVE.format(once="test -e moved && exit 0; touch moved" if once else ""))
    hook.chmod(0o755)


def rename(entries: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The same results under another model's name: DVC addresses them by content."""
    return dict(json.loads(json.dumps(entries).replace("reviews", model)))


def add_model(project: Project, model: str) -> None:
    """A second model on main, with the parameters of the first."""
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"][model] = params["models"]["reviews"]
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
    project.git("commit", "--quiet", "--all", "-m", f"Add {model}")
    project.git("push", "--quiet", project.origin.git, "HEAD:main")


def push_as_a_person(project: Project, number: int) -> None:
    """Commit a file on top of main and push it, again if others were faster."""
    clone = project.home / "colleague"
    if not clone.exists():
        project.git("clone", "--quiet", project.origin.git, str(clone))
    (clone / f"note-{number}.txt").write_text("a note\n")
    project.git("-C", str(clone), "add", "--all")
    project.git("-C", str(clone), "commit", "--quiet", "-m", f"Note {number}")
    project.git("-C", str(clone), "pull", "--quiet", "--rebase", "origin", "main")
    project.git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")


def start_landing(project: Project, model: str, entries: Mapping[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LAND, model, head(project), json.dumps(entries)]
    environment = project.env | project.origin.environment()
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_landing_twice_is_landing_once(ready: Any, quiet: Any) -> None:
    first = land(ready, quiet)
    after_first = refs(ready.project)
    second = land(ready, quiet)
    assert (first.version.name, first.new, first.decision.verdict) == ("reviews@v1.0.0", True, "promote")
    assert (second.version.name, second.new) == ("reviews@v1.0.0", False)
    assert refs(ready.project) == after_first
    assert ready.project.landed() == ready.entries
    assert [(version.number, version.stage) for version in ready.project.versions()] == [("v1.0.0", "production")]


def test_it_lands_among_odd_tags(ready: Done, quiet: Runner, capfd: pytest.CaptureFixture[str]) -> None:
    """A tag without a message, one by hand, one of facts that are none; then a second version on what has landed."""
    project = ready.project
    project.bare("tag", "reviews@v1.0.0", "main")
    project.bare("tag", "--annotate", "--message", "by hand", "reviews@v1.0.1", "main")
    facts = 'x\n\n{"export": ["x"], "metrics": "good", "decision": 3}'
    project.bare("tag", "--annotate", "--message", facts, "reviews@v1.2.0", "main")
    project.bare("tag", "--annotate", "--message", "by hand", "reviews#production#7", "main")
    held = land(ready, quiet)
    assert (held.version, held.decision.champion) == (None, "reviews@v1.0.1")
    assert "reviews@v1.0.1 cannot be compared: it was tagged by hand" in " ".join(held.decision.reasons)
    project.bare("tag", "--annotate", "--message", "taken out", "reviews#production!#8", "main")
    landed = land(ready, quiet).version
    assert (landed and landed.number, landed and landed.stage) == ("v2.0.0", "production")
    assert project.bare("rev-parse", "reviews#production#9^{commit}") == head(project)
    message = project.bare("tag", "--list", "--format=%(contents)", "reviews@v2.0.0")
    project.bare("tag", "--annotate", "--message", message, "reviews@v2.0.1", "reviews@v2.0.0^{commit}")
    before = refs(project)
    again = land(ready, quiet)
    assert (again.version, again.new) == (landed, False)
    assert refs(project) == before
    assert "warning: the tag reviews@v1.0.0 is left out" in capfd.readouterr().err


def test_two_models_and_a_person_push_at_once(ready: Done) -> None:
    project = ready.project
    add_model(project, "books")
    landings = [start_landing(project, name, rename(ready.entries, name)) for name in ("reviews", "books")]
    pushed = 0
    while any(process.poll() is None for process in landings) and pushed < 4:
        push_as_a_person(project, pushed)
        pushed += 1
    outputs = [process.communicate(timeout=120)[0] for process in landings]
    assert [process.returncode for process in landings] == [0, 0], outputs
    assert project.landed() == {**ready.entries, **rename(ready.entries, "books")}
    assert tags.models(Path(project.origin.git)) == ["books", "reviews"]
    for model in ("books", "reviews"):
        (version,) = tags.versions(Path(project.origin.git), model)
        assert (version.number, version.stage) == ("v1.0.0", "production")
        assert locks.parse(project.bare("show", f"{version.commit}:dvc.lock"), model)[f"train@{model}"]
    files = project.bare("ls-tree", "--name-only", "main").splitlines()
    assert {f"note-{number}.txt" for number in range(pushed)} <= set(files)


def test_it_lands_on_top_of_what_was_pushed_meanwhile(ready: Done, quiet: Runner) -> None:
    move_under_push(ready.project, once=True)
    landed = land(ready, quiet)
    subjects = ready.project.bare("log", "--format=%s", "main").splitlines()
    assert landed.new
    assert subjects[:2] == ["Land reviews: lock entries of a run", "A colleague was faster"]
    assert [version.commit for version in ready.project.versions()] == [head(ready.project)]


def test_it_gives_up_after_some_pushes_and_leaves_no_tag(ready: Done, quiet: Runner) -> None:
    move_under_push(ready.project, once=False)
    with pytest.raises(PushRejected, match="others pushed first"):
        land(ready, quiet)
    assert ready.project.bare("tag") == ""
    assert ready.project.bare("log", "--format=%s", f"-{pushing.ATTEMPTS}", "main") == "\n".join(
        ["A colleague was faster"] * pushing.ATTEMPTS
    )


def test_a_push_that_the_server_declines_is_tried_once_and_told_with_its_reason(ready: Done, quiet: Runner) -> None:
    hook = Path(ready.project.origin.git) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(DECLINE)
    hook.chmod(0o755)
    before = refs(ready.project)
    with pytest.raises(PushRejected, match=r"refuses the push of refs/heads/main, .*main is protected") as caught:
        land(ready, quiet)
    assert "others pushed" not in str(caught.value)
    assert Path(ready.project.origin.git, "asked").read_text() == "\n"
    assert refs(ready.project) == before


def test_a_model_below_the_minimum_is_held(ready: Done, quiet: Runner) -> None:
    ready.project.set({"gate": {"minimum": 0.99}})
    ready.project.git("push", "--quiet", ready.project.origin.git, "HEAD:main")
    before = refs(ready.project)
    landed = land(ready, quiet)
    assert landed.version is None
    assert not landed.new
    assert landed.decision.reasons[0].endswith("is below the minimum 0.9900")
    assert refs(ready.project) == before


def test_the_command_line_holds_it_too(ready: Done) -> None:
    ready.project.set({"gate": {"minimum": 0.99}})
    output = ready.project.run("luodi", "register", "reviews", code=config_exit("Held"))
    assert "is below the minimum 0.9900" in output
    assert ready.project.bare("tag") == ""


def test_the_gate_judges_what_no_commit_holds_and_says_so(ready: Done) -> None:
    """As `dvc exp run -S` and an edited params.yaml leave it."""
    path = ready.project.root / "params.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["models"]["reviews"].setdefault("gate", {})["minimum"] = 0.99
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    before = refs(ready.project)
    output = ready.project.run("luodi", "gate", "reviews", code=config_exit("Held"))
    assert "judging it, with params.yaml as no commit has it: commit it to land it" in output
    assert "is below the minimum 0.9900" in output
    assert refs(ready.project) == before
    assert "no commit holds (params.yaml)" in ready.project.run(
        "luodi", "register", "reviews", code=config_exit("DirtyCheckout")
    )


def config_exit(name: str) -> int:
    from luodi import errors

    return int(getattr(errors, name).exit_code)


def test_the_command_line_lands_what_dvc_repro_made(ready: Done) -> None:
    assert "reviews@v1.0.0 landed" in ready.project.run("luodi", "register", "reviews")
    assert "is this model already; nothing changed" in ready.project.run("luodi", "register", "reviews")
    assert ready.project.landed() == ready.entries


def test_the_command_line_refuses_what_another_commit_made(ready: Done) -> None:
    ready.project.set({"train": {"learning_rate": 0.01}})
    assert "run `dvc repro`" in ready.project.run("luodi", "register", "reviews", code=42)
    assert ready.project.bare("tag") == ""


@pytest.mark.parametrize("lost", ["model.onnx", "encoder.json", "export", "metrics.json"])
def test_files_missing_from_the_remote_are_refused(ready: Done, quiet: Runner, lost: str) -> None:
    """The host's own cache still has them: what lands must be in the remote, where others look."""
    stored_object(ready, lost).unlink()
    before = refs(ready.project)
    with pytest.raises(RemoteError, match="remote"):
        land(ready, quiet)
    assert refs(ready.project) == before


def test_files_changed_in_the_remote_are_refused(ready: Done, quiet: Runner) -> None:
    stored = stored_object(ready, "model.onnx")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 0xFF
    stored.chmod(0o644)
    stored.write_bytes(content)
    before = refs(ready.project)
    with pytest.raises((RemoteError, ArtifactError)):
        land(ready, quiet)
    assert refs(ready.project) == before


def stored_object(ready: Done, name: str) -> Path:
    """The file in the DVC remote that holds an output, or a file of the exported folder."""
    store = Path(ready.project.origin.remote or "", "files", "md5")
    outputs = locks.outputs(ready.entries, "train@reviews") | locks.outputs(ready.entries, "evaluate@reviews")
    (checksum,) = [value for path, value in outputs.items() if Path(path).name == name] or [""]
    if not checksum:
        folder = stored_object(ready, "export")
        (checksum,) = [file["md5"] for file in json.loads(folder.read_text()) if file["relpath"] == name]
    return store / checksum[:2] / checksum[2:]


@pytest.mark.parametrize(
    "url",
    ["{home}/nowhere.git", "file://{home}/nowhere.git", "http://127.0.0.1:9/x.git", "git://127.0.0.1:9/x.git"],
)
def test_an_origin_that_cannot_be_reached(ready: Done, quiet: Runner, url: str) -> None:
    project = ready.project
    lost = Origin(url.format(home=project.home), "main", project.origin.remote, project.origin.home)
    with pytest.raises(RemoteError, match="cannot be reached"):
        promotion.register(lost, head(project), "reviews", ready.entries, quiet)


def test_a_remote_that_cannot_be_reached(ready: Done, quiet: Runner) -> None:
    project = ready.project
    lost = Origin(project.origin.git, "main", str(project.home / "nowhere"), project.origin.home)
    before = refs(project)
    with pytest.raises(RemoteError):
        promotion.register(lost, head(project), "reviews", ready.entries, quiet)
    assert refs(project) == before


def test_nobody_to_sign_the_commit(ready: Done, quiet: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    before = refs(ready.project)
    with pytest.raises(NoIdentity, match=r"git config --global user\.name"):
        land(ready, quiet)
    assert refs(ready.project) == before


def test_entries_that_are_not_of_a_whole_run(ready: Done, quiet: Runner) -> None:
    entries = {name: entry for name, entry in ready.entries.items() if name != "train@reviews"}
    with pytest.raises(ArtifactError, match="no entry of reviews for train"):
        land(ready, quiet, entries)
    assert ready.project.bare("tag") == ""


def test_it_leaves_no_clone(ready: Done, quiet: Runner) -> None:
    land(ready, quiet)
    assert list((ready.project.origin.home / "work").iterdir()) == []
