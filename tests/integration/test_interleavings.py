"""Random interleavings and kills over {push files, commit, tag, stage}, on real git and a real DVC remote.

Actors land challengers of two models (one asks a person), push files or only some, promote and roll back, while people
push to main. Each actor stops before every command that others may see. A rule lets one go on, or all at once; kills
one, where it stands or in the midst of a command; takes away the git origin or the DVC remote under it; or loses
the answer to a command that took effect. See `Interleavings`; actors.py makes the actors.

After every rule:

1. A version is tagged on a commit that holds the files of the commit that was run, whatever main holds by then, and
   whose dvc.lock has the export that the tag's facts name; every output of the model in that dvc.lock, folders file by
   file, is in the DVC remote, whole.
2. The moves of a model's stage are numbered 1, 2, 3..., each from where the one before it led: there is one production.
   No tag and no commit of main is ever changed or lost.
3. Versions strictly rise, no two have one export, and a move leads to a version that there is, at its commit.
4. What people pushed is in main. A landing changes the entries of its own model alone, to those of one challenger.
5. A version comes to production by a move that says how. One that landed was judged against the version that it took
   the place of, is better, and was approved where a person is asked; what is hopeless is never a version.

When all that were not killed have ended, in peace:

6. Whatever was killed or failed is done again: it lands or is refused, and once more changes nothing.
7. What is in production loads, out of the DVC remote alone, and predicts its sample as when it landed.
8. No clone is left behind.
"""

import gc
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from actors import (
    ADOPT_ORPHANS,
    DIE_WITH_PARENT,
    FOREIGN,
    GITCONFIG,
    MODELS,
    PATIENCE,
    QUALITY,
    Actor,
    Crew,
    Outcome,
    Plan,
    Template,
    copy_world,
    do,
    git,
    make,
    origin_of,
    prctl,
    preload,
    spare_time,
    stored,
)
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from luodi.files import checksum
from luodi.project import locks

WORKERS = 2
BATCH = 25  # examples of one seed: from one seed Hypothesis mostly varies what it did before
MEANT = ("killed", "killed in a command", "lost origin.git", "lost remote", "lost answer", "pushed at once",
         "pushed in turn", "landed", "refused", "moved", "in peace: landed", "in peace: refused")  # fmt: skip
"""What is to happen, else the examples prove little: once in the suite, four times in the proof."""
STEPS = 1 + 3  # the first makes what the others work with
COMMIT = """\
commit refs/heads/main
committer Person <person@localhost> 1700000000 +0000
data 7
A note
from {}
M 644 inline {}
data 2
n

"""
"""For git fast-import."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")]


@pytest.mark.parametrize(("examples", "times"), [(20, 1), pytest.param(200, 4, marks=pytest.mark.proof)])
def test_registry_invariants_hold_whatever_happens(examples: int, times: int, tmp_path: Path) -> None:
    # Files in memory: DVC and git sync and rename thousands of small ones.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        (Path(folder) / "gitconfig").write_text(GITCONFIG)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = inherited | threads | {
            "HOME": folder, "GIT_CONFIG_GLOBAL": f"{folder}/gitconfig", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, folder, str(examples), str(times)], env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    tally = sum((Counter(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")), Counter())
    assert tally["examples"] >= examples
    assert not lacking(tally, times), tally


def lacking(tally: Mapping[str, int], times: float) -> list[str]:
    """What has not happened as often as it is meant to."""
    return [name for name in MEANT if tally.get(name, 0) < times]


# What the registry must look like, seen without luodi.registry.tags


@dataclass(frozen=True)
class Tag:
    """An annotated tag: what it points to, and the JSON in its message."""

    id: str
    commit: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """The git origin at one moment; `looks` is MODEL/PERIOD/NUMBER -> what was judged."""

    main: str
    tags: Mapping[str, Tag]
    looks: Mapping[str, str]

    def versions(self, model: str) -> dict[str, Tag]:
        """Number -> its tag, ascending."""
        found = {name.partition("@")[2]: tag for name, tag in self.tags.items() if name.startswith(f"{model}@")}
        return {number: found[number] for number in sorted(found, key=parts)}

    def moves(self, model: str) -> dict[int, Tag]:
        found = {
            name.rpartition("#")[2]: tag for name, tag in self.tags.items() if name.startswith(f"{model}#production#")
        }
        return {int(number): found[number] for number in sorted(found, key=int)}

    def production(self, model: str) -> str | None:
        """Number of the version that the last move leads to."""
        moves = self.moves(model)
        return self._number(model, moves[max(moves)]) if moves else None

    def _number(self, model: str, move: Tag) -> str:
        (number,) = [number for number, version in self.versions(model).items() if version.commit == move.commit]
        return number


def parts(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.removeprefix("v").split(".")))


class Witness:
    """Looks at the origin and the remote after every rule, and compares with what it saw before."""

    def __init__(self, template: Template, root: Path) -> None:
        self._origin, self._remote = root / "origin.git", root / "remote"
        self._known = {json.dumps(entries, sort_keys=True): key for key, entries in template.entries.items()}
        self._exports = {
            (model, export(entries, model)): name
            for (model, name), entries in reversed(template.entries.items())  # `again` is `good`
        }
        self._locks: dict[str, Mapping[str, Any]] = {}
        self._whole: set[Path] = set()
        self.notes: set[str] = set()
        self.picture = Picture(self._git("rev-list", "--max-parents=0", "main"), {}, {})
        self._read_lock(self.picture.main)
        self._trained = self._files(self.picture.main)
        self.look()

    def look(self) -> Picture:
        """Require invariants 1 to 5; return what is there."""
        before, self.picture = self.picture, self._see()
        if self.picture != before:
            self._require_history(before)
            for model in MODELS:
                self._require_looks(before, model)
                self._require_moves(model)
                self._require_versions(model, before.versions(model))
        return self.picture

    def require_all_whole(self) -> None:
        """Read every file of every version again."""
        self._whole.clear()
        for model in MODELS:
            for version in self.picture.versions(model).values():
                self._require_files(locks.of_model(self._locks[version.commit], model))

    def _see(self) -> Picture:
        form = "%(refname)%00%(objectname)%00%(*objectname)%00%(contents:body)%01"
        listed = self._git("for-each-ref", f"--format={form}").split("\x01")
        refs = {name.strip(): rest for name, *rest in (line.split("\x00") for line in listed if line.strip())}
        main = refs.pop("refs/heads/main")[0]
        place = "refs/luodi/looks/"
        looks = {name.removeprefix(place): refs.pop(name)[0] for name in list(refs) if name.startswith(place)}
        tags = {
            name.removeprefix("refs/tags/"): Tag(own, to, json.loads(body))
            for name, (own, to, body) in refs.items()
            if not name.startswith("refs/luodi/judged/")  # moves with each judgement, and decides nothing that lands
        }
        return Picture(main, tags, looks)

    def _require_looks(self, before: Picture, model: str) -> None:
        """Looks are only added, none is left out, and the same judgement is counted once."""
        assert before.looks.items() <= self.picture.looks.items(), "looks were changed or lost"
        mine = {name: judged for name, judged in self.picture.looks.items() if name.startswith(f"{model}/")}
        assert sorted(int(name.rpartition("/")[2]) for name in mine) == list(range(1, len(mine) + 1)), mine
        assert len(set(mine.values())) == len(mine), f"the same was counted twice: {mine}"
        for number, version in self.picture.versions(model).items():
            if compared := version.facts["decision"]["comparison"]:
                assert compared["look"]["taken"], f"{model}@{number} landed by a look that was not counted"
                assert compared["look"]["number"] <= len(mine)

    def _require_history(self, before: Picture) -> None:
        lost = [name for name, tag in before.tags.items() if self.picture.tags.get(name) != tag]
        assert not lost, f"tags were changed or lost: {lost}"
        form = "--format=%x01%H %P%x00%s%x00"
        log = self._git("log", "--reverse", "--name-only", form, f"{before.main}..{self.picture.main}")
        parent = before.main
        for block in filter(None, log.split("\x01")):
            commits, subject, files = block.split("\x00")
            commit, *parents = commits.split()
            assert parents == [parent], f"main is not what it was, and commits upon it: {subject}"
            self._read_lock(commit)
            self._require_change(subject, files.split(), self._locks[parent], self._locks[commit])
            parent = commit
        assert parent == self.picture.main, "main lost commits"
        missing = self.notes - set(self._git("ls-tree", "--name-only", "main").splitlines())
        assert not missing, f"what people pushed is lost: {missing}"

    def _require_change(
        self, subject: str, files: list[str], before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> None:
        if not subject.startswith("Land "):
            assert before == after and "dvc.lock" not in files
            return
        model = subject.removeprefix("Land ").partition(":")[0]
        assert files == ["dvc.lock"], f"{subject!r} changed {files}"
        mine = locks.of_model(after, model)
        assert json.dumps(mine, sort_keys=True) in self._known, f"{subject!r} mixed up entries"
        assert after == locks.merge(before, model, mine), f"{subject!r} changed another model"
        exports = [version.facts["export"] for version in self.picture.versions(model).values()]
        assert export(mine, model) in exports, f"{subject!r} is of no version"

    def _require_moves(self, model: str) -> None:
        moves, versions = self.picture.moves(model), self.picture.versions(model)
        assert list(moves) == list(range(1, len(moves) + 1)), f"moves of {model}: {list(moves)}"
        numbers = {version.commit: number for number, version in versions.items()}
        assert len(numbers) == len(versions), f"two versions of {model} on one commit"
        place: str | None = None
        landed = []
        for move in moves.values():
            assert move.commit in numbers, f"{model} was moved to what is no version"
            facts, now = move.facts, numbers[move.commit]
            assert facts["action"] in ("land", "promote", "rollback")
            assert facts["from"] == (f"{model}@{place}" if place else None), f"{model} {now}: {facts}, from {place}"
            if facts["action"] == "land":
                self._require_better(model, versions[now], versions[place] if place else None, facts["from"])
                landed.append(now)
            place = now
        assert landed == list(versions), f"landed: {landed}, versions: {list(versions)}"

    def _require_better(self, model: str, version: Tag, champion: Tag | None, name: str | None) -> None:
        verdict, approval = version.facts["decision"]["verdict"], version.facts["approval"]
        assert approval["mode"] == MODELS[model]
        assert verdict == "promote" or (approval["mode"] == "human" and verdict == "insufficient evidence")
        assert version.facts["decision"]["champion"] == name
        challenger = self._exports[model, version.facts["export"]]
        assert challenger != "hopeless"
        if verdict == "promote" and champion:
            old = self._exports[model, champion.facts["export"]]
            assert QUALITY[challenger] > QUALITY[old] + 0.05, f"{challenger} took the place of {old}"

    def _require_versions(self, model: str, before: Mapping[str, Tag]) -> None:
        versions = self.picture.versions(model)
        exports = [version.facts["export"] for version in versions.values()]
        assert len(exports) == len(set(exports)), f"two versions of {model} are one model"
        assert list(versions)[: len(before)] == list(before), f"versions of {model} do not rise"
        for number in list(versions)[len(before) :]:
            commit = versions[number].commit
            assert self._files(commit) == self._trained, f"{model}@{number} holds other files than its run"
            self._read_lock(commit)
            entries = locks.of_model(self._locks[commit], model)
            assert export(entries, model) == versions[number].facts["export"]
            self._require_files(entries)

    def _files(self, commit: str) -> list[str]:
        """What a commit holds beside dvc.lock."""
        listed = self._git("ls-tree", "-r", commit).splitlines()
        return [line for line in listed if not line.endswith("\tdvc.lock")]

    def _require_files(self, entries: locks.Entries) -> None:
        for md5 in (md5 for stage in entries for md5 in locks.outputs(entries, stage).values()):
            path = self._require_whole(md5)
            if md5.endswith(".dir"):
                for file in json.loads(path.read_text()):
                    self._require_whole(file["md5"])

    def _require_whole(self, md5: str) -> Path:
        path: Path = stored(self._remote, md5)
        if path not in self._whole:
            assert path.exists() and checksum(path) == md5.removesuffix(".dir"), (
                f"{md5} is not in the DVC remote, whole"
            )
            self._whole.add(path)
        return path

    def _read_lock(self, commit: str) -> None:
        text = self._git("show", f"{commit}:dvc.lock")
        self._locks[commit] = yaml.load(text, yaml.CSafeLoader)["stages"]

    def _git(self, *arguments: str) -> str:
        output: str = git(self._origin, *arguments)
        return output


def export(entries: locks.Entries, model: str) -> str:
    return locks.outputs(entries, f"train@{model}")[f"artifacts/{model}/train/export"]


# What happens

SEATS = st.sampled_from([0, 1])
COMMANDS = {"land": 12, "register": 10, "push": 2, "half": 2, "promote": 3, "rollback": 3}
"""What an actor may do, and how many commands it takes that others see, or that see others."""
PLANS = st.builds(
    Plan,
    st.sampled_from(["land"] * 6 + ["register", "push", "half", "promote", "promote", "rollback"]),
    st.sampled_from([*MODELS]),
    st.sampled_from([*QUALITY]),
)
PROMISING = st.builds(
    Plan, st.just("land"), st.sampled_from([*MODELS]), st.sampled_from(["weak", "good", "best", "best"])
)
MOVES = st.builds(
    Plan, st.sampled_from(["promote", "rollback"]), st.sampled_from([*MODELS]), st.sampled_from(["weak", "good"])
)
AHEAD = st.integers(0, 11)
"""How many commands an actor goes on; one that begins stays short of its end."""
SPENT = {"NoVersion", "RegistryError"}
"""How a move ends that has nothing to do."""
REFUSED = SPENT | {"PushRejected", "RemoteError", "ArtifactError"}
"""Errors that an actor may meet though nobody disturbed it: others were faster, or files were never pushed."""


@dataclass
class Seat:
    """A place for an actor, and the plan that it has or had."""

    plan: Plan | None = None
    actor: Actor | None = None
    disturbed: bool = False


class Interleavings(RuleBasedStateMachine):
    """What is drawn never depends on what happened: processes are not as repeatable as Hypothesis asks draws to be."""

    template: ClassVar[Template]
    starts: ClassVar[dict[str, Path]]
    crew: ClassVar[Crew]
    tally: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=self.template.folder))
        self.seats = [Seat(), Seat()]
        self.owed: dict[Plan, None] = {}
        self.sound = False

    @initialize(start=st.sampled_from(["nothing", "one", "two"]), twice=st.booleans())
    def begin(self, start: str, twice: bool) -> None:
        self.origin = copy_world(self.starts[start], self.root / "world", self.template)
        self.witness = Witness(self.template, self.root / "world")
        self.first, self.twice = self.witness.picture, twice
        self.sound = True

    @rule(number=SEATS, plan=PLANS, ahead=AHEAD, again=st.booleans())
    def go_on(self, number: int, plan: Plan, ahead: int, again: bool) -> None:
        """An actor goes on; in an empty seat one starts, perhaps with what the last one there left undone."""
        with self.watched():
            seat = self.seats[number]
            self.bring(seat, seat.plan if again and seat.plan else plan, ahead)

    @rule(plan=PROMISING, other=PROMISING | MOVES, rivals=st.booleans())
    def push_at_once(self, plan: Plan, other: Plan, rivals: bool) -> None:
        """Both actors go on until they are to push to git, and do so at the same time."""
        with self.watched():
            self.tally["pushed at once"] += self.meet(plan, replace(other, model=plan.model) if rivals else other)
            self.run(self.seats)

    @rule(plan=PROMISING, other=PROMISING | MOVES, rivals=st.booleans(), person=st.booleans())
    def push_in_turn(self, plan: Plan, other: Plan, rivals: bool, person: bool) -> None:
        """Both actors go on until they are to push to git, and find that others were faster."""
        with self.watched():
            self.tally["pushed in turn"] += self.meet(plan, replace(other, model=plan.model) if rivals else other)
            if person:
                self.push_note()
            for seat in self.seats:
                self.run([seat])

    @rule(number=SEATS, plan=PLANS, ahead=AHEAD)
    def kill(self, number: int, plan: Plan, ahead: int) -> None:
        """Kill an actor before a command."""
        with self.watched():
            if actor := self.bring(seat := self.seats[number], plan, ahead):
                self.tally["killed"] += 1
                self.crew.kill(actor)
                self.leave(seat, None)

    @rule(number=SEATS, plan=PLANS, ahead=AHEAD, milliseconds=st.integers(0, 60))
    def kill_in_a_command(self, number: int, plan: Plan, ahead: int, milliseconds: int) -> None:
        """Kill an actor so long after it began a command."""
        with self.watched():
            if actor := self.bring(seat := self.seats[number], plan, ahead):
                actor.go()
                time.sleep(milliseconds / 1000)
                self.tally["killed in a command"] += 1
                self.crew.kill(actor)
                self.leave(seat, None)

    @rule(number=SEATS, plan=PLANS, ahead=AHEAD, place=st.sampled_from(["origin.git", "remote"]))
    def lose_connection(self, number: int, plan: Plan, ahead: int, place: str) -> None:
        """Take away the git origin or the DVC remote while an actor runs a command."""
        with self.watched():
            if self.bring(seat := self.seats[number], plan, ahead):
                self.tally[f"lost {place}"] += 1
                seat.disturbed = True
                with taken_away(self.root / "world" / place):
                    self.run([seat])

    @rule(number=SEATS, plan=PROMISING)
    def lose_answer(self, number: int, plan: Plan) -> None:
        """A push to git takes effect, but its answer gets lost."""
        with self.watched():
            self.bring(seat := self.seats[number], plan, 0)
            self.run([seat], lambda actor: actor.at == ("git", "push"))
            if seat.actor:
                self.tally["lost answer"] += 1
                seat.disturbed = True
                self.run([seat], lose_answer=True)

    @rule()
    def push_as_a_person(self) -> None:
        with self.watched():
            self.push_note()

    def teardown(self) -> None:
        try:
            if self.sound and sys.exception() is None:  # else it failed, or Hypothesis gave it up
                self.finish()
        finally:
            for seat in self.seats:
                if seat.actor:
                    self.crew.kill(seat.actor)
            shutil.rmtree(self.root)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Do something, then look at what it left; what is broken is not looked at again."""
        self.sound = False
        yield
        self.witness.look()
        self.sound = True

    def push_note(self) -> None:
        """Commit a file to main, in a clone of one's own."""
        note, clone = f"note-{len(self.witness.notes)}", self.root / "person"
        if not clone.exists():
            git(self.root, "clone", "--quiet", "--bare", self.origin.git, str(clone))
        git(clone, "fetch", "--quiet", "origin", "+main:main")
        git(clone, "fast-import", "--quiet", stdin=COMMIT.format(git(clone, "rev-parse", "main"), note))
        git(clone, "push", "--quiet", "origin", "main")
        self.witness.notes.add(note)

    def meet(self, *plans: Plan) -> bool:
        """Let both actors go on until they are to push to git; tell whether they got there."""
        for seat, plan in zip(self.seats, plans, strict=True):
            self.bring(seat, plan, 0)
        self.run(self.seats, lambda actor: actor.at == ("git", "push"))
        return all(seat.actor for seat in self.seats)

    def bring(self, seat: Seat, plan: Plan, ahead: int) -> Actor | None:
        """Let the actor of a seat go on so many commands, a new one if it is empty; None if it ends by then."""
        if seat.actor is None:
            seat.plan, seat.disturbed = plan, False
            seat.actor = self.crew.begin(plan, self.origin)
            self.tally[f"plan: {plan.kind}"] += 1
            ahead %= COMMANDS[plan.kind]
            if seat.actor.outcome:  # there is nothing to do, as is told without a command that others see
                self.end(seat, seat.actor.outcome)
        for _ in range(ahead):
            self.run([seat])
        return seat.actor

    def run(
        self, seats: Sequence[Seat], until: Callable[[Actor], bool] | None = None, *, lose_answer: bool = False
    ) -> None:
        """Let actors run, all at once, each one command, or until it is where it is meant to be, or ends."""
        going = {seat.actor.link: seat for seat in seats if seat.actor and not (until and until(seat.actor))}
        for seat in going.values():
            assert seat.actor
            seat.actor.go(lose_answer)
        while going:
            ready = wait(list(going), timeout=PATIENCE)
            assert ready, f"hang: {[(seat.plan, seat.actor and seat.actor.at) for seat in going.values()]}"
            for link in ready:
                seat = going[link]
                assert seat.actor
                seat.actor.settle()
                if seat.actor.at and until and not until(seat.actor):
                    seat.actor.go()
                    continue
                del going[link]
                if seat.actor.outcome:
                    self.end(seat, seat.actor.outcome)

    def end(self, seat: Seat, outcome: Outcome) -> None:
        """Take the actor of a seat back, whose job has ended."""
        assert seat.actor
        self.crew.release(seat.actor)
        self.leave(seat, outcome)

    def leave(self, seat: Seat, outcome: Outcome | None) -> None:
        """Note how the actor of a seat ended: what was killed or failed is owed."""
        assert seat.plan
        debt = owed(seat.plan)
        if outcome is None or (outcome.kind == "failed" and outcome.what not in SPENT):
            self.owed[debt] = None
        else:
            self.owed.pop(debt, None)
        if outcome:
            self.tally[f"failed: {outcome.what}" if outcome.kind == "failed" else outcome.kind] += 1
            assert outcome.kind != "crashed", outcome.why
            allowed = outcome.kind != "failed" or seat.disturbed or outcome.what in REFUSED
            assert allowed, f"{seat.plan} was not disturbed: {outcome}"
        seat.actor = None

    def finish(self) -> None:
        """Let all come to an end, do again what failed, and require invariants 6 to 8."""
        for seat in self.seats:
            self.run([seat], lambda actor: False)
        self.witness.look()
        for plan in self.owed:
            first = self.crew.do(plan, self.origin)
            self.tally[f"in peace: {first.kind}"] += 1
            after = self.witness.look()
            if plan.kind != "land":
                assert first.kind in ("pushed", "moved") or first.what in SPENT, first
                continue
            assert first.kind in ("landed", "refused"), first
            if self.twice:
                assert self.crew.do(plan, self.origin).kind == first.kind
                assert self.witness.look() == after, "to land twice is not to land once"
        self.witness.require_all_whole()
        for model in MODELS:
            number = self.witness.picture.production(model)
            if number != self.first.production(model):
                opened = self.crew.do(Plan("open", model, ""), self.origin)
                assert opened == Outcome("opened", f"{model}@{number}")
        assert list((self.origin.home / "work").glob("*")) == [], "a clone was left behind"
        self.tally["examples"] += 1


@contextmanager
def taken_away(place: Path) -> Iterator[None]:
    """Without a folder for a while."""
    away = place.with_name("away")
    place.rename(away)
    place.touch()  # DVC would make a folder where there is nothing
    yield
    place.unlink()
    away.rename(place)


def owed(plan: Plan) -> Plan:
    """What is to be done again: half of the files are pushed whole, and pushed before landing."""
    return replace(plan, kind={"register": "land", "half": "push"}.get(plan.kind, plan.kind))


# The process that forks all others


def main(folder: Path, examples: int, times: int) -> int:
    """Run the examples in some processes, each with its own seed; print a tally of each. Returns the exit code."""
    prctl(DIE_WITH_PARENT, signal.SIGKILL)
    spare_time()
    template = make(folder)
    Interleavings.template, Interleavings.starts = template, make_starts(folder, template)
    gc.collect()
    gc.freeze()
    pids = [fork_worker(number, examples // WORKERS, times / WORKERS) for number in range(WORKERS)]
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)


def make_starts(folder: Path, template: Template) -> dict[str, Path]:
    """What examples start from: nothing landed, one version of each model, two."""
    starts = {name: folder / name for name in ("warm", "nothing", "one", "two")}

    def land(start: str, kind: str, model: str, challenger: str) -> None:
        outcome = crew.do(Plan(kind, model, challenger), origin_of(starts[start]))
        assert outcome.kind in ("landed", "pushed"), outcome

    origin = copy_world(folder, starts["warm"], template)
    plans = [Plan("land", "quick", "weak"), Plan("land", "quick", "good"), Plan("open", "quick", "good")]
    preload(lambda runner: [do(plan, template, origin, runner) for plan in plans], folder / "modules")
    crew = Crew(template)
    copy_world(folder, starts["nothing"], template)
    for model in MODELS:
        land("nothing", "push", model, "weak")
        land("nothing", "push", model, "good")
    copy_world(starts["nothing"], starts["one"], template)
    for model in MODELS:
        land("one", "register", model, "weak")
    copy_world(starts["one"], starts["two"], template)
    for model in MODELS:
        land("two", "register", model, "good")
    crew.disband()
    return starts


def fork_worker(number: int, examples: int, times: float) -> int:
    """Run examples in a process of its own; return its id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        prctl(DIE_WITH_PARENT, signal.SIGKILL)
        prctl(ADOPT_ORPHANS, 1)
        Interleavings.crew = Crew(Interleavings.template)
        chosen = settings(
            max_examples=min(BATCH, examples), stateful_step_count=STEPS, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck), print_blob=True, report_multiple_bugs=False,
        )  # fmt: skip
        tally = Interleavings.tally
        for batch in itertools.count():
            if tally["examples"] >= examples and (not lacking(tally, times) or tally["examples"] >= 2 * examples):
                break
            run_state_machine_as_test(seed(number + WORKERS * batch)(Interleavings), settings=chosen)
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
    finally:
        print(json.dumps(Interleavings.tally), flush=True)
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
