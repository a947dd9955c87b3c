"""The second version and after: the gate against a champion, promotion, rollback, pull; real git, real DVC remote."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import Done, Project

from luodi.data import ngrams
from luodi.errors import Held, NoVersion, RegistryError, RemoteError
from luodi.project import locks
from luodi.project.paths import ModelPaths
from luodi.registry import champion, promotion, tags
from luodi.registry.classifier import pulled
from luodi.registry.records import Approval, Decision, Verdict
from luodi.scoring.inference import Classifier
from luodi.system.processes import Runner

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_process")]

EASY, HARD = {"gate": {"margin": -0.5, "max_slice_loss": 1.0}}, {"gate": {"margin": 0.5}}
HUMAN = {"register": {"approval": "human"}}
LINEAR: dict[str, dict[str, Any]] = {"train": {"architecture": "linear"}}  # it starts without TensorFlow


@pytest.fixture
def rivals(challenged: Done, request: pytest.FixtureRequest) -> Project:
    """A copy of one's own."""
    return challenged.project.copy(re.sub(r"\W+", "-", request.node.name))


@pytest.fixture(scope="session")
def two_versions(challenged: Done) -> Project:
    """reviews@v1.1.0 is in production, before it v1.0.0 was."""
    project = challenged.project.copy("two-versions")
    project.set(EASY)
    project.run("luodi", "register", "reviews")
    return project


@pytest.fixture(scope="session")
def third(two_versions: Project) -> Project:
    """`dvc repro` made another challenger, of reviews@v1.1.0."""
    project = two_versions.copy("third")
    project.set(LINEAR)
    project.run("dvc", "repro", "--quiet")
    return project


@pytest.fixture
def pair(two_versions: Project, request: pytest.FixtureRequest) -> Project:
    """A copy of one's own."""
    return two_versions.copy(re.sub(r"\W+", "-", request.node.name))


def stages(project: Project) -> dict[str, str | None]:
    return {version.number: version.stage for version in project.versions()}


def refs(project: Project) -> tuple[str, dict[str, Any]]:
    """Every tag, and the lock entries on main; main itself follows the checkout."""
    return project.bare("for-each-ref", "refs/tags"), project.landed()


def stored(project: Project, number: str, name: str) -> Path:
    """The object in the DVC remote that holds a file of the exported model of a version, or of its stages."""
    entries = project.landed(f"reviews@{number}")
    store = Path(project.origin.remote or "", "files", "md5")
    known = {Path(path).name: md5 for stage in entries for path, md5 in locks.outputs(entries, stage).items()}
    if name not in known:
        md5 = known["export"]
        listing = json.loads((store / md5[:2] / md5[2:]).read_text())
        known |= {file["relpath"]: file["md5"] for file in listing}
    return store / known[name][:2] / known[name][2:]


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(content)


def test_what_is_not_proven_better_does_not_land(rivals: Project) -> None:
    before = refs(rivals)
    output = rivals.run("luodi", "register", "reviews", code=6)
    assert "insufficient evidence" in output
    assert "test rows would" in output
    assert refs(rivals) == before


def test_what_is_proven_worse_is_held(rivals: Project) -> None:
    rivals.set(HARD)
    before = refs(rivals)
    output = rivals.run("luodi", "gate", "reviews", code=5)
    assert "verdict: hold" in output
    assert (rivals.root / "artifacts" / "reviews" / "gate" / "report.html").exists()
    assert "## reviews: hold\n\n**Hold.** " in rivals.run("luodi", "gate", "reviews", "--markdown", code=5)
    assert rivals.git("status", "--porcelain") == "?? dvc.lock"
    rivals.run("luodi", "register", "reviews", code=5)
    assert refs(rivals) == before


def read_otherwise(monkeypatch: pytest.MonkeyPatch) -> str:
    mix = ngrams._mix
    monkeypatch.setattr(ngrams, "_mix", lambda values: mix(values + np.uint64(1)))
    return "reviews@v1.0.0 does not predict its sample as it did"


def read_not_at_all(monkeypatch: pytest.MonkeyPatch) -> str:
    """The code has moved on: what it reads of a version is elsewhere."""
    monkeypatch.setattr(ModelPaths, "sample", property(lambda paths: paths.export.parent / "other.json"))
    return "reviews@v1.0.0 has no artifacts/reviews/train/other.json"


@pytest.mark.parametrize("change", [read_otherwise, read_not_at_all])
def test_a_champion_that_this_code_does_not_read_as_it_was_is_not_compared(
    rivals: Project, quiet: Runner, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], str]
) -> None:
    """It would be judged by what it was never trained to see, and anything would seem better."""
    rivals.run("luodi", "gate", "reviews", code=6)  # makes the commit and the files known
    for key, value in rivals.env.items():
        monkeypatch.setenv(key, value)
    why = change(monkeypatch)
    decision = champion.decide(rivals.origin, rivals.git("rev-parse", "HEAD"), "reviews", rivals.lock, quiet)
    assert (decision.verdict, decision.comparison) == ("insufficient evidence", None)
    assert why in " ".join(decision.reasons)


def test_what_is_proven_takes_the_place_of_the_champion(two_versions: Project) -> None:
    assert stages(two_versions) == {"v1.1.0": "production", "v1.0.0": None}
    newest, _ = two_versions.versions()
    decision = newest.facts["decision"]
    assert (decision["verdict"], decision["champion"]) == ("promote", "reviews@v1.0.0")
    comparison = decision["comparison"]
    assert comparison["rows"] == newest.facts["metrics"]["rows"]
    assert comparison["excluded"] == 0
    assert comparison["notes"] == []
    ours = comparison["metrics"]["accuracy"]["challenger"]["value"]
    assert ours == pytest.approx(newest.facts["metrics"]["model"]["accuracy"]["value"], abs=1e-6)
    first, second = tags.moves(Path(two_versions.origin.git), "reviews")
    assert (first.number, first.facts["action"], first.facts["from"]) == ("v1.0.0", "land", None)
    assert (second.number, second.facts["action"], second.facts["from"]) == ("v1.1.0", "land", "reviews@v1.0.0")


def test_to_land_by_hand_uses_the_remotes_that_are_named(stocked: Done) -> None:
    """Not the checkout's own DVC remote, which `luodi connect` made."""
    project = stocked.project.copy("自己的 remotes")
    own, remote = project.home / "own.git", project.home / "own-remote"
    env = {"LUODI_GIT_URL": str(own), "LUODI_DVC_REMOTE": str(remote), "LUODI_HOME": str(project.home / "host")}
    project.git("clone", "--quiet", "--bare", str(project.root), str(own))
    project.git("commit", "--quiet", "--allow-empty", "--message", "Not pushed")
    assert "has no commit" in project.run("luodi", "register", "reviews", env=env, code=40)
    project.git("push", "--quiet", str(own), "HEAD:main")
    shutil.rmtree(remote, ignore_errors=True)
    assert "reviews@v1.0.0" in project.run("luodi", "register", "reviews", env=env)
    assert "reviews@v1.0.0" in project.run("git", "-C", str(own), "tag")
    assert '"label"' in project.run("luodi", "predict", "reviews", "质量很好", env=env)
    export = locks.outputs(stocked.entries, "train@reviews")["artifacts/reviews/train/export"]
    assert (remote / "files" / "md5" / export[:2] / export[2:]).exists()
    assert project.versions() == []


def test_its_tag_tells_where_it_comes_from(two_versions: Project) -> None:
    facts = two_versions.versions()[0].facts
    assert facts["commit"] == two_versions.git("rev-parse", "HEAD")
    assert facts["data"]["rows"] == facts["data"]["clean"] + facts["data"]["quarantined"]
    assert sum(facts["sources"].values()) == facts["data"]["summary"]["rows"]
    assert facts["params"]["train"]["learning_rate"] == 0.0051
    assert facts["training"]["device"] == "cpu"
    assert facts["training"]["seconds"] > 0
    assert facts["approval"] == {"mode": "auto"}
    assert set(facts["environment"]) == {"luodi", "python", "libraries"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", facts["data"]["dated"])


def test_versions_are_listed_with_what_differs(two_versions: Project) -> None:
    listed = two_versions.run("luodi", "models")
    assert "train.learning_rate 0.005 -> 0.0051" in listed
    assert re.search(r"reviews@v1\.1\.0 .*production .*accuracy 0\.\d{4} .* rows [0-9a-f]{8}", listed)
    shown = two_versions.run("luodi", "models", "show", "reviews")
    facts = two_versions.versions()[0].facts
    for word in ("reviews@v1.1.0 production", facts["commit"], facts["export"], facts["data"]["hash"], "card.html"):
        assert word in shown, word
    assert two_versions.run("luodi", "models", "show", "reviews@v7.0.0", code=61)


def test_rolled_back_and_promoted_again(pair: Project) -> None:
    started = len(tags.moves(Path(pair.origin.git), "reviews"))
    output = pair.run("luodi", "rollback", "reviews", "--reason", "too many complaints")
    assert "reviews@v1.0.0 is back in production; it predicted 32 stored rows" in output
    assert stages(pair) == {"v1.1.0": None, "v1.0.0": "production"}
    move = tags.moves(Path(pair.origin.git), "reviews")[-1]
    assert dict(move.facts) == {
        "format": 2, "action": "rollback", "from": "reviews@v1.1.0", "reason": "too many complaints"
    }  # fmt: skip
    assert move.by == "Tester"
    assert move.place == started + 1
    held = pair.run("luodi", "register", "reviews", code=5)
    assert "`luodi promote reviews@v1.1.0` puts it there" in held, "what a person took out must not come back by itself"
    assert "there is no earlier version of reviews to go back to" in pair.run("luodi", "rollback", "reviews", code=61)
    pair.run("luodi", "promote", "reviews@v1.1.0")
    assert stages(pair) == {"v1.1.0": "production", "v1.0.0": None}
    assert "is in production already" in pair.run("luodi", "promote", "reviews@v1.1.0", code=60)


@pytest.mark.parametrize("name", ["model.onnx", "sample.json"])
@pytest.mark.parametrize("harm", [spoil, Path.unlink])
def test_production_stays_when_the_target_is_harmed(
    pair: Project, quiet: Runner, harm: Callable[[Path], Any], name: str
) -> None:
    before = refs(pair)
    harm(stored(pair, "v1.0.0", name))
    with pytest.raises((RegistryError, RemoteError)):
        promotion.move(pair.origin, "reviews", "v1.0.0", quiet, action="rollback", reason="")
    assert refs(pair) == before


def test_what_was_damaged_in_the_remote_does_not_stay_in_the_cache(pair: Project) -> None:
    model = stored(pair, "v1.0.0", "model.onnx")
    whole = model.read_bytes()
    for folder in ("cache", "models"):
        shutil.rmtree(pair.origin.home / folder, ignore_errors=True)
    spoil(model)
    output = pair.run("luodi", "pull", "reviews@v1.0.0", "there", code=50)
    assert "does not hold artifacts/reviews/train/export" in output
    model.parent.mkdir(exist_ok=True)
    model.unlink(missing_ok=True)
    model.write_bytes(whole)
    pair.run("luodi", "pull", "reviews@v1.0.0", "there")


def test_odd_tags_hide_nothing_and_stop_nothing(pair: Project, tmp_path: Path) -> None:
    """A second version on the commit of v1.0.0, one that is lightweight, odd facts, and one that git cannot read."""
    message = pair.bare("tag", "--list", "--format=%(contents)", "reviews@v1.0.0")
    pair.bare("tag", "--annotate", "--message", message, "reviews@v1.0.7", "reviews@v1.0.0^{commit}")
    pair.bare("tag", "reviews@v1.4.0", "main")
    odd = 'x\n\n{"export": "x", "metrics": "good", "decision": [], "data": 3, "approval": "yes"}'
    pair.bare("tag", "--annotate", "--message", odd, "reviews@v1.6.0", "main")
    Path(pair.origin.git, "refs", "tags", "reviews@v1.8.0").write_text("2" * 40 + "\n")
    listed = pair.run("luodi", "models")
    assert re.findall(r"reviews@(v\S+)(?: +(production))?", re.sub("warning.*", "", listed)) == [
        ("v1.6.0", ""), ("v1.1.0", "production"), ("v1.0.7", ""), ("v1.0.0", ""),
    ]  # fmt: skip
    for name in ("v1.4.0", "v1.8.0"):
        assert len(re.findall(f"^warning: the tag reviews@{name} is left out: ", listed, re.MULTILINE)) == 1
    assert "reviews@v1.6.0" in pair.run("luodi", "models", "show", "reviews@v1.6.0")
    pair.run("luodi", "pull", "reviews@v1.0.7", str(tmp_path / "there"))
    assert "does not match its tag" in pair.run("luodi", "promote", "reviews@v1.6.0", code=60)
    assert "reviews@v1.0.0 is back in production" in pair.run("luodi", "rollback", "reviews")
    assert (pair.origin.home / "damaged" / "reviews@v1.8.0").exists(), "git lets nobody push where it is"
    assert '"version": "reviews@v1.0.0"' in pair.run("luodi", "predict", "reviews", "质量很好")
    pair.run("luodi", "promote", "reviews@v1.0.7")
    assert stages(pair) == {"v1.6.0": None, "v1.1.0": None, "v1.0.7": "production", "v1.0.0": None}
    assert "this model is reviews@v1.1.0" in pair.run("luodi", "register", "reviews", code=5)


def test_what_was_never_reproduced_is_not_judged(pair: Project) -> None:
    (pair.root / "dvc.lock").unlink(missing_ok=True)
    for command in ("gate", "register"):
        assert "run `dvc repro` first" in pair.run("luodi", command, "reviews", code=30)


def test_a_tag_that_names_other_files_is_refused(pair: Project) -> None:
    """Somebody moves the tag of v1.0.0 to the facts of v1.1.0: the lock at its commit says otherwise."""
    message = pair.bare("tag", "--list", "--format=%(contents)", "reviews@v1.1.0")
    pair.bare("tag", "--force", "--annotate", "--message", message, "reviews@v1.0.0", "reviews@v1.0.0^{commit}")
    assert "does not match its tag" in pair.run("luodi", "rollback", "reviews@v1.0.0", code=60)
    assert "does not match its tag" in pair.run("luodi", "pull", "reviews@v1.0.0", "there", code=60)
    assert stages(pair)["v1.1.0"] == "production"
    assert not (pair.root / "there").exists()


def test_pulled_for_a_deployment(pair: Project, tmp_path: Path) -> None:
    there = tmp_path / "serving"
    pair.run("luodi", "pull", "reviews", str(there))
    assert sorted(path.name for path in there.iterdir()) == [
        "card.html", "card.md", "comparison.html", "encoder.json", "example.py", "model.onnx", "version.json",
    ]  # fmt: skip
    facts = json.loads((there / "version.json").read_text())
    assert (facts["version"], facts["format"]) == ("reviews@v1.1.0", 2)
    (found,) = Classifier.load(there).probabilities(["质量很好"])
    alone = [sys.executable, "-I", str(there / "example.py"), "质量很好"]
    told = json.loads(subprocess.run(alone, check=True, capture_output=True, text=True).stdout)
    assert told["probability"] == pytest.approx(found.max(), abs=1e-6)
    pair.run("luodi", "pull", "reviews@v1.0.0", str(there))
    assert json.loads((there / "version.json").read_text())["version"] == "reviews@v1.0.0"
    pair.run("luodi", "pull", "reviews@production", str(there))
    assert "reviews@v1.1.0" in (there / "card.md").read_text()
    pair.run("luodi", "pull", "reviews", str(there), "--keras")
    assert zipfile.is_zipfile(there / "model.keras")
    assert pulled(there).version == "reviews@v1.1.0"
    pair.run("luodi", "pull", "reviews", str(there))
    assert not (there / "model.keras").exists()


@pytest.mark.parametrize(("form", "made"), [("mlflow", "data/version.json"), ("huggingface", "version.json")])
def test_exported_for_another_tool(pair: Project, tmp_path: Path, form: str, made: str) -> None:
    """Again over what was exported before; what each tool reads of it: tests/unit/local/test_exporting.py."""
    for name in ("reviews@v1.0.0", "reviews@v1.1.0"):
        pair.run("luodi", "export", name, str(tmp_path / "there"), "--to", form)
        assert json.loads((tmp_path / "there" / made).read_text())["version"] == name
    if form == "huggingface":
        assert pulled(tmp_path / "there").version == "reviews@v1.1.0"


def test_a_folder_of_something_else_is_not_replaced(pair: Project, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "holds something else" in pair.run("luodi", "pull", "reviews", str(tmp_path), code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_person_approves_at_the_terminal(rivals: Any) -> None:
    rivals.set(EASY | HUMAN)
    before = refs(rivals)
    assert "needs a person's approval" in rivals.run("luodi", "register", "reviews", code=5)
    assert refs(rivals) == before
    rivals.run("luodi", "register", "reviews", "--approve", "--comment", "看过了 | fine")
    approval = rivals.versions()[0].facts["approval"]
    assert approval["comment"] == "看过了 | fine"
    assert approval["by"] == "Tester <tester@localhost>"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", approval["at"])


def test_an_approval_is_of_one_comparison_only(third: Project, quiet: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Production moved between approval and landing: the person saw another champion."""
    pair = third.copy("approved-once")
    for key, value in pair.env.items():
        monkeypatch.setenv(key, value)
    pair.set(HUMAN)
    pair.run("luodi", "register", "reviews", code=5)  # pushes commit and files
    entries, commit = pair.lock, pair.git("rev-parse", "HEAD")
    decision = champion.decide(pair.origin, commit, "reviews", entries, quiet)
    pair.run("luodi", "rollback", "reviews")
    before = refs(pair)
    approval = Approval(mode="human", by="x", at=datetime.now(UTC), comment="")
    with pytest.raises(Held, match=r"approved against reviews@v1\.1\.0, but in production is reviews@v1\.0\.0 now"):
        promotion.register(pair.origin, commit, "reviews", entries, quiet, decision=decision, approval=approval)
    assert refs(pair) == before


def test_a_stale_decision_is_made_again(third: Project, quiet: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = third.copy("stale")
    for key, value in pair.env.items():
        monkeypatch.setenv(key, value)
    pair.set(HARD)
    pair.run("luodi", "register", "reviews", code=5)
    stale = Decision(
        verdict=Verdict.PROMOTE, reasons=(), champion="reviews@v1.0.0", rule={}, checks=(), comparison=None, metrics={},
        latency_ms=1,
    )  # fmt: skip
    landed = promotion.register(pair.origin, pair.git("rev-parse", "HEAD"), "reviews", pair.lock, quiet, decision=stale)
    assert landed.version is None
    assert landed.decision.champion == "reviews@v1.1.0"
    assert landed.decision.verdict == "hold"


def test_an_old_champion_is_scored_on_what_it_never_saw(
    pair: Project, quiet: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another split seed: most of today's test rows were train rows of the champion."""
    for key, value in pair.env.items():
        monkeypatch.setenv(key, value)
    pair.set({"preprocess": {"seed": 1}, **LINEAR})
    pair.run("dvc", "repro", "--quiet")
    pair.run("luodi", "gate", "reviews")  # pushes commit and files
    decision = champion.decide(pair.origin, pair.git("rev-parse", "HEAD"), "reviews", pair.lock, quiet)
    comparison = decision.comparison
    assert comparison and comparison.excluded > 4 * comparison.rows > 0
    assert comparison.notes == ("seed of preprocess differs from that of reviews@v1.1.0",)


def test_nothing_to_roll_back(challenged: Done, quiet: Runner) -> None:
    with pytest.raises(NoVersion):
        promotion.previous(Path(challenged.project.origin.git), "reviews")
