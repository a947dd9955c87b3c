"""What may land, and the guards against everything else: each by a case that lands if the guard is taken out."""

import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from actors import HUMAN, SPLITS, Meddler, World, record, stored, with_params
from typer.testing import CliRunner

import luodi
from luodi import __version__
from luodi.cli import commands
from luodi.errors import ArtifactError, Held, NoIdentity, NoVersion, PushRejected, RegistryError, RemoteError
from luodi.files import read_json, write_json
from luodi.local import delivery
from luodi.project import locks, workspace
from luodi.registry import tags
from luodi.registry.records import Decision, Verdict

UNPROVEN = "insufficient evidence"


# What lands


def test_the_first_version_goes_to_production(nothing: World) -> None:
    found = nothing.land("quick", "weak", training={"seconds": 3.5})
    assert (found.version.name, found.version.stage, found.new) == ("quick@v1.0.0", "production", True)
    assert found.decision.verdict == "promote"
    assert nothing.stages("quick") == {"v1.0.0": "production"}
    assert nothing.stages("careful") == {}
    head = nothing.git("rev-parse", "main")
    assert nothing.git("rev-parse", "quick@v1.0.0^{commit}", "quick#production#1^{commit}").split() == [head, head]
    assert nothing.git("rev-parse", "main^") == nothing.commit
    assert nothing.git("log", "-1", "--format=%s|%an <%ae>|%cn <%ce>") == (
        "Land quick: lock entries of a run|Tester <tester@localhost>|Tester <tester@localhost>"
    )
    assert nothing.git("diff", "--name-only", "main^", "main") == "dvc.lock"
    assert locks.parse(nothing.git("show", "main:dvc.lock"), "main") == nothing.entries("quick", "weak")


def test_the_tag_of_a_version_tells_all_that_is_known(nothing: World) -> None:
    decided = nothing.judge("quick", "weak").model_copy(update={"latency_ms": 1234.5})
    nothing.land("quick", "weak", training={"seconds": 3.5}, decision=decided)
    given = decided.to_json()
    facts = nothing.facts("quick@v1.0.0")
    metrics = given.pop("metrics")
    assert given.pop("latency_ms") == facts.pop("latency_ms")
    params, example = facts.pop("params"), facts.pop("example")
    assert example["given"] == params["card"]["example"] and set(example["answer"]) == {"negative", "positive"}
    assert (params["labels"], params["train"]["architecture"]) == (["negative", "positive"], "mlp")
    assert {"schedule", "register", "validate"} <= set(params)
    assert facts == {
        "format": 2,
        "commit": nothing.commit,
        "export": record(nothing.entries("quick", "weak"), "export")["md5"],
        "metrics": metrics,
        "data": {
            "hash": nothing.entries("quick", "weak")["validate@quick"]["deps"][0]["md5"],
            "dated": nothing.git("log", "-1", "--format=%cI", nothing.commit),
            **{"rows": 210, "clean": 200, "quarantined": 10, "duplicates": 0},
            "summary": {"rows": SPLITS},
        },
        "sources": {"shop": 200},
        "environment": {
            "luodi": __version__,
            "python": platform.python_version(),
            "libraries": {"numpy": "2.4.6"},
        },
        "training": {"seconds": 3.5},
        "approval": {"mode": "auto"},
        "decision": given,
    }
    assert nothing.facts("quick#production#1") == {"format": 2, "action": "land", "from": None, "reason": "promote"}
    titles = [nothing.git("tag", "--list", "--format=%(contents:subject)", f"quick{end}*") for end in "@#"]
    assert titles == ["quick v1.0.0: accuracy 0.7000", "quick v1.0.0 to production"]


def test_the_commit_of_a_version_is_a_persons_where_what_ran_stands_on_what_landed(nothing: World) -> None:
    """No checkout has those of luodi; to land another model had made one."""
    nothing.land("quick", "weak")
    at_its_landing = replace(nothing, commit=nothing.git("rev-parse", "main"))
    assert at_its_landing.commit != nothing.commit
    at_its_landing.land("careful", "weak", approval=HUMAN)
    assert nothing.facts("careful@v1.0.0")["commit"] == nothing.commit


def test_what_is_better_takes_the_place_of_the_champion(one: World) -> None:
    found = one.land("quick", "good")
    assert (found.version.name, found.new) == ("quick@v1.0.1", True)
    assert (found.decision.verdict, found.decision.champion) == ("promote", "quick@v1.0.0")
    assert one.facts("quick#production#2") == {
        "format": 2,
        "action": "land",
        "from": "quick@v1.0.0",
        "reason": "promote",
    }
    assert one.facts("quick@v1.0.1")["training"] is None
    assert one.stages("quick") == {"v1.0.1": "production", "v1.0.0": None}
    assert one.stages("careful") == {"v1.0.0": "production"}
    lock = locks.parse(one.git("show", "main:dvc.lock"), "main")
    assert lock == one.entries("quick", "good") | one.entries("careful", "weak")


def test_to_land_twice_is_to_land_once(one: World) -> None:
    before = one.refs()
    found = one.land("quick", "weak")
    assert (found.version.name, found.new, found.decision.verdict) == ("quick@v1.0.0", False, "unchanged")
    assert one.refs() == before


def test_the_same_model_with_another_report_is_no_new_version(two: World) -> None:
    found = two.land("quick", "again")
    assert (found.version.name, found.new, found.decision.verdict) == ("quick@v1.0.1", False, "unchanged")
    assert locks.of_model(locks.parse(two.git("show", "main:dvc.lock"), ""), "quick") == two.entries("quick", "again")
    assert two.stages("quick") == {"v1.0.1": "production", "v1.0.0": None}


def labels(entries: dict[str, Any]) -> None:
    entries["train@quick"]["params"]["params.lock"]["models.quick.labels"] = ["positive", "negative"]


def setting(entries: dict[str, Any]) -> None:
    entries["preprocess@quick"]["params"]["params.lock"]["models.quick.preprocess"]["vocabulary"] = 7


@pytest.mark.parametrize(("change", "number"), [(labels, "v2.0.0"), (setting, "v1.1.0")])
def test_the_number_tells_what_changed(one: World, change: Callable[[Any], None], number: str) -> None:
    entries = one.entries("quick", "good")
    change(entries)
    assert one.land("quick", entries).version.number == number


def test_numbers_rise_above_one_that_was_tagged_by_hand(one: World) -> None:
    """Whose tag says nothing: what changed is told from the last version that landed."""
    by_hand(one, "quick@v3.0.0", one.commit)
    assert one.land("quick", "good").version.number == "v3.0.1"


# What does not


@pytest.mark.parametrize(
    ("challenger", "verdict"),
    [("hopeless", "hold"), ("similar", UNPROVEN)],
)
def test_what_is_not_proven_better_does_not_land(one: World, challenger: str, verdict: str) -> None:
    before = one.refs()
    found = one.land("quick", challenger)
    assert (found.version, found.new, found.decision.verdict) == (None, False, verdict)
    assert found.decision.reasons
    assert one.refs() == before


@pytest.mark.parametrize("challenger", ["good", "similar"])
@pytest.mark.parametrize("judged", [True, False], ids=["judged before", "judged here"])
def test_nothing_lands_without_the_approval_that_params_ask_for(one: World, challenger: str, judged: bool) -> None:
    before = one.refs()
    decision = one.judge("careful", challenger) if judged else None
    if challenger == "similar":  # not proven: nobody has to be asked to refuse it
        assert one.land("careful", challenger, decision=decision).version is None
    else:
        with pytest.raises(Held, match=r"careful needs a person's approval .*: none was given"):
            one.land("careful", challenger, decision=decision)
    assert one.refs() == before


def test_not_even_the_first_version_lands_without_approval(nothing: World) -> None:
    before = nothing.refs()
    with pytest.raises(Held, match="none was given"):
        nothing.land("careful", "weak")
    assert nothing.refs() == before


def test_params_of_the_run_decide_who_is_asked_not_those_of_today(one: World) -> None:
    """Somebody turns approval off in a later commit: the run is of the commit that asks."""
    before = with_params(one, careful={"register": {"approval": "auto", "timeout_hours": 1}})
    with pytest.raises(Held, match="none was given"):
        one.land("careful", "good")
    assert one.git("rev-parse", "main") == before.commit


@pytest.mark.parametrize(
    ("challenger", "lands"), [("hopeless", False), ("similar", True), ("good", True), ("best", True)]
)
def test_a_person_may_take_what_is_not_proven_but_not_what_is_held(one: World, challenger: str, lands: bool) -> None:
    before = one.refs()
    found = one.land("careful", challenger, decision=one.judge("careful", challenger), approval=HUMAN)
    if not lands:
        assert (found.version, one.refs()) == (None, before)
        return
    assert found.version.name == "careful@v1.0.1"
    assert one.facts("careful@v1.0.1")["approval"] == {
        "mode": "human", "by": "Li", "at": "2024-05-01T00:00:00+00:00", "comment": "seen"
    }  # fmt: skip


def test_the_same_model_again_needs_nobody(one: World) -> None:
    found = one.land("careful", "weak", decision=one.judge("careful", "weak"))
    assert (found.version.name, found.new) == ("careful@v1.0.0", False)


def test_what_was_taken_out_of_production_does_not_come_back_by_itself(two: World) -> None:
    before = two.refs()
    found = two.land("quick", "weak")
    assert (found.version, found.decision.verdict) == (None, "hold")
    assert found.decision.reasons == (
        "this model is quick@v1.0.0, which is not in production: `luodi promote quick@v1.0.0` puts it there",
    )
    assert two.refs() == before


def told(verdict: Verdict, champion: str) -> Decision:
    """A decision that was made when another version was in production."""
    return Decision(
        verdict=verdict, reasons=(), champion=champion, rule={}, checks=(), comparison=None, metrics={}, latency_ms=1
    )


def test_nor_does_it_by_a_decision_of_when_it_was_there(two: World) -> None:
    then = told(Verdict.UNCHANGED, "quick@v1.0.0")
    before = two.refs()
    assert two.land("quick", "weak", decision=then).version is None
    assert two.refs() == before


def test_an_approval_holds_against_the_champion_that_was_shown(one: World) -> None:
    decision = one.judge("careful", "best")
    one.land("careful", "good", decision=one.judge("careful", "good"), approval=HUMAN)
    before = one.refs()
    with pytest.raises(Held, match=r"approved against careful@v1\.0\.0, but in production is careful@v1\.0\.1 now"):
        one.land("careful", "best", decision=decision, approval=HUMAN)
    assert one.refs() == before


def test_an_approval_of_a_first_version_holds_while_there_is_none(nothing: World) -> None:
    decision = nothing.judge("careful", "good")
    nothing.land("careful", "weak", decision=nothing.judge("careful", "weak"), approval=HUMAN)
    with pytest.raises(Held, match=r"approved against no version, but in production is careful@v1\.0\.0 now"):
        nothing.land("careful", "good", decision=decision, approval=HUMAN)


def test_a_decision_against_another_champion_is_made_again(two: World) -> None:
    stale = told(Verdict.PROMOTE, "quick@v1.0.0")
    found = two.land("quick", "similar", decision=stale)
    assert (found.version, found.decision.champion, found.decision.verdict) == (None, "quick@v1.0.1", "hold")


def by_hand(world: World, tag: str, commit: str) -> None:
    world.git("tag", "--annotate", "--message", "by hand", tag, commit)


# Files


@pytest.mark.parametrize("stage", ["validate", "preprocess", "train", "evaluate"])
def test_entries_of_half_a_run_are_refused(one: World, stage: str) -> None:
    entries = one.entries("quick", "good")
    del entries[f"{stage}@quick"]
    before = one.refs()
    with pytest.raises(ArtifactError, match=f"no entry of quick for {stage}: run `dvc repro` first"):
        one.land("quick", entries)
    assert one.refs() == before


def test_a_model_that_does_not_predict_its_sample_is_refused(one: World) -> None:
    entries = one.entries("quick", "good")
    record(entries, "sample.json").update(record(one.entries("quick", "best"), "sample.json"))
    before = one.refs()
    with pytest.raises(RegistryError, match="quick does not predict its sample as it did"):
        one.land("quick", entries)
    assert one.refs() == before


@pytest.mark.parametrize("name", ["report.html", "rows.parquet", "export", "metrics.json"])
def test_nothing_lands_whose_files_the_remote_lacks(one: World, name: str) -> None:
    """Not even a file that no landing reads."""
    md5 = record(one.entries("quick", "best"), name)["md5"]
    stored(Path(one.origin.remote or ""), md5).unlink()
    before = one.refs()
    with pytest.raises((ArtifactError, RemoteError), match="remote"):
        one.land("quick", "best")
    assert one.refs() == before


def spoil_export(clone: Path) -> None:
    """As if what came from the remote were not what was asked for."""
    path = clone / "artifacts" / "quick" / "train" / "export" / "encoder.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")


def another_host(world: World) -> None:
    """Work with an empty cache: what is there whole would not be asked of DVC."""
    cache = world.origin.home / "cache"
    if cache.is_symlink():  # to what the template made
        cache.unlink()
    shutil.rmtree(cache, ignore_errors=True)


def test_a_model_that_did_not_come_whole_is_refused(one: World) -> None:
    # In DVC's settings: of a folder that luodi is told of, nothing is asked of DVC.
    config = f"[core]\n    remote = team\n['remote \"team\"']\n    url = {one.origin.remote}\n"
    theirs = with_params(one, {".dvc/config": config})
    before = one.refs()
    meddler = Meddler(("dvc", "pull"), spoil_export, after=True)
    team = replace(theirs, origin=replace(one.origin, remote=None), runner=meddler)
    with pytest.raises(RegistryError, match=r"train/export does not match its hash"):
        team.land("quick", "good", decision=theirs.judge("quick", "good"))
    another_host(one)
    with pytest.raises(RegistryError, match=r"train/export does not match its hash"):
        replace(one, runner=Meddler(("dvc", "pull"), spoil_export, after=True)).judge("quick", "good")
    assert (one.refs(), meddler.happened) == (before, 1)


def test_nobody_to_sign_the_commit(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    before = one.refs()
    with pytest.raises(NoIdentity, match=r"git config --global user\.name"):
        one.land("quick", "good")
    assert one.refs() == before


def test_a_refusal_of_the_server_is_told_in_its_words(one: World) -> None:
    hook = Path(one.origin.git) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    refuse = "#!/bin/sh\nif grep -q refs/heads/main; then echo 'main is protected' >&2; exit 1; fi\n"
    hook.write_text(refuse)
    hook.chmod(0o755)
    before = one.refs()
    with pytest.raises(PushRejected) as caught:
        one.land("quick", "good")
    assert str(caught.value) == (
        f"git origin {one.origin.git} refuses the push of refs/heads/main, refs/tags/quick@v1.0.1, "
        "refs/tags/quick#production#2, refs/luodi/judged/quick: pre-receive hook declined; main is protected: let this "
        "user push them, and run it again"
    )
    assert one.refs() == before


def test_nothing_is_judged_where_the_look_cannot_be_counted(one: World) -> None:
    hook = Path(one.origin.git) / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncase $1 in refs/heads/*|refs/tags/*) ;; *) echo 'no such place' >&2; exit 1;; esac\n")
    hook.chmod(0o755)
    with pytest.raises(PushRejected, match=r"refuses the push of refs/luodi/looks/quick/\d+/1: .*no such place"):
        one.land("quick", "good")
    with pytest.raises(PushRejected):
        one.judge("quick", "good")
    assert one.looks() == []
    assert one.judge("quick", "good", counted=False).verdict == "promote"


# Others push at the same time


def test_a_rival_that_was_faster_is_the_one_to_be_better_than(one: World) -> None:
    rival = Meddler(("git", "push"), lambda _: one.land("quick", "good"))
    found = replace(one, runner=rival).land("quick", "best")
    assert (found.version.name, found.decision.champion) == ("quick@v1.0.2", "quick@v1.0.1")
    assert one.facts("quick#production#3") == {
        "format": 2,
        "action": "land",
        "from": "quick@v1.0.1",
        "reason": "promote",
    }
    again = Meddler(("git", "push"), lambda _: one.land("careful", "good", approval=HUMAN))
    assert replace(one, runner=again).land("careful", "similar", approval=HUMAN).version is None
    assert one.stages("careful") == {"v1.0.1": "production", "v1.0.0": None}


def test_an_approval_is_not_carried_over_to_a_rival_that_was_faster(one: World) -> None:
    decision = one.judge("careful", "best")
    rival = Meddler(("git", "push"), lambda _: one.land("careful", "good", approval=HUMAN))
    with pytest.raises(Held, match=r"approved against careful@v1\.0\.0, but in production is careful@v1\.0\.1 now"):
        replace(one, runner=rival).land("careful", "best", decision=decision, approval=HUMAN)
    assert one.stages("careful") == {"v1.0.1": "production", "v1.0.0": None}


def test_a_move_that_came_between_is_not_undone(two: Any) -> None:
    """After the champion was read, and before it is written: whoever moved it is told so."""
    for at in (("git", "clone"), ("git", "push")):
        champion = next(number for number, stage in two.stages("quick").items() if stage)
        other = {"v1.0.0": "v1.0.1", "v1.0.1": "v1.0.0"}[champion]
        rival = Meddler(at, lambda _, other=other: two.move("quick", other, "rollback"))
        with pytest.raises(PushRejected, match="production of quick was moved by somebody else just now"):
            replace(two, runner=rival).move("quick", other)
        assert two.stages("quick")[other] == "production"
        assert rival.happened == 1


# Moves


def test_a_move_says_how_and_from_where(two: World) -> None:
    version, rows = two.move("quick", None, "rollback")
    assert (version.name, rows) == ("quick@v1.0.0", 32)
    assert two.stages("quick") == {"v1.0.1": None, "v1.0.0": "production"}
    assert two.facts("quick#production#3") == {
        "format": 2,
        "action": "rollback",
        "from": "quick@v1.0.1",
        "reason": "because",
    }
    assert two.git("tag", "--list", "--format=%(contents:subject)", "quick#production#3") == (
        "quick v1.0.0 to production"
    )
    with pytest.raises(NoVersion, match="no earlier version of quick to go back to"):
        two.move("quick", None, "rollback")
    with pytest.raises(RegistryError, match=r"quick@v1\.0\.0 is in production already: nothing to do"):
        two.move("quick", "v1.0.0")
    assert two.move("quick", "v1.0.1")[0].name == "quick@v1.0.1"
    assert len(tags.moves(Path(two.origin.git), "quick")) == 4


def test_what_is_put_where_nothing_is_comes_from_nothing(two: World) -> None:
    by_hand(two, "quick#production!#3", "quick@v1.0.1^{}")
    assert two.stages("quick") == {"v1.0.1": None, "v1.0.0": None}
    two.move("quick", "v1.0.0")
    assert two.facts("quick#production#4") == {"format": 2, "action": "promote", "from": None, "reason": "because"}


def tagged_by_hand(world: World, entries: dict[str, Any], export: str) -> None:
    """Somebody makes quick@v9.0.0 of entries, its tag naming an export."""
    with workspace.clone(world.origin, world.commit, world.runner) as clone:
        locks.write(clone.lock, entries)
        clone.git("commit", "--quiet", "--all", "-m", "x")
        clone.git("tag", "--annotate", "-m", f"x\n\n{json.dumps({'export': export})}", "quick@v9.0.0")
        clone.git("push", "--quiet", "origin", "quick@v9.0.0")


def test_what_does_not_predict_as_it_did_does_not_go_to_production(two: World) -> None:
    """Its files are those of its tag, yet this code, or this host, answers otherwise."""
    entries = two.entries("quick", "best")
    record(entries, "sample.json").update(record(two.entries("quick", "weak"), "sample.json"))
    tagged_by_hand(two, entries, tags.export_hash(entries, "quick"))
    before = two.refs()
    with pytest.raises(RegistryError, match=r"quick@v9\.0\.0 does not predict its sample as it did"):
        two.move("quick", "v9.0.0")
    assert two.refs() == before


def test_a_tag_that_names_another_model_than_its_lock_is_refused(two: World) -> None:
    tagged_by_hand(two, two.entries("quick", "best"), tags.export_hash(two.entries("quick", "good"), "quick"))
    before = two.refs()
    with pytest.raises(RegistryError, match=r"quick@v9\.0\.0 does not match its tag: .*; promote another version$"):
        two.move("quick", "v9.0.0")
    assert two.refs() == before


def test_a_version_holds_the_files_of_its_run_whatever_the_branch_holds_by_then(one: World) -> None:
    changed = with_params(one, quick={"schedule": None})
    found = one.land("quick", "good")
    assert one.git("diff", "--name-only", one.commit, found.version.commit) == "dvc.lock"
    assert one.git("diff", "--name-only", changed.commit, "main") == "dvc.lock"
    assert found.version.facts["params"]["schedule"] == "@weekly"


# What is served


def spoil_sample(folder: Path) -> None:
    """Let the answers be those to other questions."""
    path = next(folder.rglob("sample.json"))
    kept = read_json(path)
    path.chmod(0o644)
    write_json(path, kept | {"probabilities": kept["probabilities"][::-1]})


def test_files_that_did_not_come_as_they_were_registered_are_refused(two: World) -> None:
    version = tags.find(Path(two.origin.git), "quick")
    for spoil, name in ((spoil_export, "export"), (spoil_sample, "sample.json")):
        another_host(two)
        with pytest.raises(RegistryError, match=rf"{name} does not match its hash"):
            tags.fetch(two.origin, version, Meddler(("dvc", "pull"), spoil, after=True))
    assert not (two.origin.home / "models" / version.name).exists()


def test_a_local_copy_that_was_changed_is_brought_anew(two: World) -> None:
    version = tags.find(Path(two.origin.git), "quick")
    folder = tags.fetch(two.origin, version, two.runner)
    encoder = folder / "export" / "encoder.json"
    whole = encoder.read_bytes()
    encoder.chmod(0o644)
    encoder.write_bytes(whole + b" ")
    assert tags.fetch(two.origin, version, two.runner) == folder
    assert encoder.read_bytes() == whole
    away = replace(two.origin, git="nowhere", remote="nowhere")
    assert tags.fetch(away, version, two.runner) == folder, "what is here and whole is not asked for"


def test_what_does_not_predict_as_it_did_is_neither_served_nor_pulled(
    two: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = tags.find(Path(two.origin.git), "quick")
    folder = tags.fetch(two.origin, version, two.runner)
    monkeypatch.chdir(two.template.folder / "checkout")
    for name, value in two.origin.environment().items():
        monkeypatch.setenv(name, value)
    text = read_json(folder / "sample.json")["texts"][0]
    assert luodi.load("quick").probabilities([text]).shape == luodi.load("quick@v1.0.0").probabilities([text]).shape
    answer = CliRunner().invoke(commands.app, ["predict", "quick", text])
    assert '"version": "quick@v1.0.1"' in answer.output, answer
    spoil_sample(folder)
    answer = CliRunner().invoke(commands.app, ["predict", "quick", text])
    assert isinstance(answer.exception, RegistryError), answer
    with pytest.raises(RegistryError, match="does not predict its sample as it did"):
        luodi.load("quick@v1.0.1")
    with pytest.raises(RegistryError, match="does not predict its sample as it did"):
        delivery.deploy(two.origin, version, tmp_path / "there", two.runner)
    assert not (tmp_path / "there").exists()
