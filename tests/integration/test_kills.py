"""SIGKILL at seeded random moments: what is run again ends as if nothing had happened."""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from project import Done, Project

from luodi.errors import ArtifactError
from luodi.files import checksum, folder_checksum
from luodi.project import locks
from luodi.project.origin import Origin

STAGES = ("validate", "preprocess", "baseline", "train", "evaluate")
SOME = ("preprocess",)  # the proof has all; a training that is killed: tests/integration/test_training_kills.py
START = 2.0  # seconds that dvc itself takes before and after a stage

pytestmark = pytest.mark.slow

# A stage's task, and the landing task, without Airflow around them.
TASK = """
import json, sys
from luodi.project import locks, workspace
from luodi.project.origin import Origin
from luodi.system.processes import Runner
stage, commit, entries, result = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
with workspace.clone(Origin.from_environment(), commit, runner := Runner(print)) as clone:
    locks.write(clone.lock, entries)
    open(result, "w").write(json.dumps(clone.reproduce(stage)))
"""
LAND = """
import json, sys
from luodi.registry import promotion
from luodi.project.origin import Origin
from luodi.system.processes import Runner
promotion.register(Origin.from_environment(), sys.argv[1], "reviews", json.loads(sys.argv[2]), Runner(print))
"""


def moments(seed: str, kills: int, seconds: float) -> Iterator[float]:
    """Seeded moments spread over a duration, one in each of `kills` equal parts, in a random order."""
    rng = random.Random(seed)
    parts = list(range(kills))
    rng.shuffle(parts)
    return (seconds * (part + rng.random()) / kills for part in parts)


def killed(process: psutil.Popen, after: float, group: bool) -> bool:
    """SIGKILL a process (or its whole group) some seconds after its start. False if it had ended by then."""
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(after)
        return False
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    return process.wait(10) == -signal.SIGKILL  # else it had ended in the meantime


def outputs(project: Project, entry: dict[str, Any]) -> dict[str, str | None]:
    """Path -> checksum as it is on disk, None where there is nothing, for each output of a lock entry."""
    paths = {out["path"]: project.root / out["path"] for out in entry["outs"]}
    return {
        name: (folder_checksum(path) if path.is_dir() else checksum(path)) if path.exists() else None
        for name, path in paths.items()
    }


def wait_for_none_alive(project: Project, seconds: float = 5) -> list[psutil.Process]:
    """The project's processes that are still there after some seconds."""
    deadline = time.monotonic() + seconds
    while (left := project.alive()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def is_whole(lock: Path) -> bool:
    try:
        return bool(locks.read(lock))
    except ArtifactError:
        return False


def mend_dvc(project: Project) -> None:
    """What README.md tells whoever killed DVC in the instant in which it wrote one of three files, in place."""
    locked, lock = project.root / ".dvc" / "tmp" / "rwlock", project.root / "dvc.lock"
    if locked.exists() and not locked.read_bytes():
        locked.unlink()
    if lock.exists() and not is_whole(lock):
        lock.unlink()  # no commit has it: there is nothing to bring back
    if (project.origin.home / "cache").exists():
        project.run("sh", "-c", 'find "$(dvc cache dir)" -mindepth 1 -type d -empty -delete')


def in_remote(remote: Path, entries: locks.Entries) -> bool:
    """Every output of every entry is in the DVC remote, folders with each of their files, whole."""

    def whole(md5: str) -> bool:
        path = remote / "files" / "md5" / md5[:2] / md5[2:]
        return path.exists() and checksum(path) == md5.removesuffix(".dir")

    for name in entries:
        for md5 in locks.outputs(entries, name).values():
            if not whole(md5):
                return False
            if md5.endswith(".dir"):
                listing = json.loads((remote / "files" / "md5" / md5[:2] / md5[2:]).read_text())
                if not all(whole(file["md5"]) for file in listing):
                    return False
    return True


@pytest.mark.parametrize(
    ("stage", "kills"),
    [*((stage, 2) for stage in SOME), *(pytest.param(stage, 10, marks=pytest.mark.proof) for stage in STAGES)],
)
def test_a_killed_stage_runs_again_to_the_same_bytes(
    stage: str,
    kills: int,
    reproduced: Done,
    witnesses: dict[str, dict[str, Any]],
    make_project: Callable[[str], Project],
) -> None:
    """Some times `dvc repro` of the stage with its whole group killed, then once in peace."""
    project = make_project(f"killed-{stage}-{kills}")
    shutil.copytree(reproduced.project.root / "artifacts", project.root / "artifacts")
    shutil.rmtree(project.root / "artifacts" / "reviews" / stage)
    command = ("dvc", "repro", "--single-item", f"{stage}@reviews")
    expected = {out["path"]: out["md5"] for out in reproduced.entries[f"{stage}@reviews"]["outs"]}
    hits, seconds = 0, START + witnesses[stage]["seconds"]
    for share in moments(stage, kills, 1):
        started = time.monotonic()
        hit = killed(project.start(*command), share * seconds, group=True)
        hits += hit
        assert wait_for_none_alive(project) == []
        mend_dvc(project)
        for path in expected:  # a folder may lack files: DVC removes outputs one by one before it runs a stage
            for file in filter(Path.is_file, [project.root / path, *(project.root / path).rglob("*")]):
                whole = reproduced.project.root / file.relative_to(project.root)
                assert file.read_bytes() == whole.read_bytes(), f"{file} was left half-written"
        if not hit:  # nothing would be left to kill: forget that it ended
            seconds = min(seconds, time.monotonic() - started)  # the first run of all reads libraries from a cold disk
            shutil.rmtree(project.origin.home)
            (project.root / "dvc.lock").unlink()
    assert hits >= kills // 2
    project.run(*command)
    assert project.lock == {f"{stage}@reviews": reproduced.entries[f"{stage}@reviews"]}
    assert outputs(project, reproduced.entries[f"{stage}@reviews"]) == expected
    left = {path.name for path in (project.root / "artifacts" / "reviews" / stage).iterdir() if path.name[0] != "."}
    assert left - {"latency.json", "cost.json"} == {Path(path).name for path in expected}
    assert project.git("status", "--porcelain") == "?? dvc.lock"


@pytest.mark.parametrize(
    ("stage", "seconds", "kills"),
    [
        ("preprocess", 5.0, 2),
        pytest.param("preprocess", 5.0, 10, marks=pytest.mark.proof),
        pytest.param("train", 15.0, 10, marks=pytest.mark.proof),
    ],
)
def test_a_killed_task_takes_its_children_along_and_leaves_nothing_to_the_next(
    ready: Done, stage: str, seconds: float, kills: int
) -> None:
    """Only the task's own process is killed: dvc and the stage live in groups of their own."""
    project = ready.project
    origin = Origin(project.origin.git, "main", project.origin.remote, project.home / "worker")
    upstream = {name: entry for name, entry in ready.entries.items() if name != f"{stage}@reviews"}
    result = project.home / "result.json"
    arguments = (f"{stage}@reviews", project.bare("rev-parse", "main"), json.dumps(upstream), str(result))
    command = (sys.executable, "-c", TASK, *arguments)
    clones, hits = [], 0
    for moment in moments(stage, kills, seconds):
        hits += killed(project.start(*command, env=origin.environment()), moment, group=False)
        assert [alive.cmdline() for alive in wait_for_none_alive(project)] == []
        clones += [path for path in (origin.home / "work").glob("*") if path.is_dir()]
        shutil.rmtree(origin.home / "cache" / "runs", ignore_errors=True)  # else a finished run would be restored
    assert hits >= kills // 2
    assert clones
    assert project.start(*command, env=origin.environment()).wait(300) == 0
    assert json.loads(result.read_text()) == {f"{stage}@reviews": ready.entries[f"{stage}@reviews"]}
    assert list((origin.home / "work").iterdir()) == []
    assert not (origin.home / "failed").exists()
    assert in_remote(Path(origin.remote or ""), ready.entries)


@pytest.mark.parametrize("kills", [pytest.param(4, id="4"), pytest.param(25, id="25", marks=pytest.mark.proof)])
def test_a_killed_landing_lands_once(ready: Done, kills: int) -> None:
    """Its moments reach from the clone to after the push; whatever it had done, it lands one version once."""
    project = ready.project
    undisturbed = project.copy("undisturbed")
    arguments = (project.bare("rev-parse", "main"), json.dumps(ready.entries))
    started = time.monotonic()
    calm = undisturbed.start(sys.executable, "-c", LAND, *arguments, env=undisturbed.origin.environment())
    assert calm.wait(120) == 0, (undisturbed.home / "started.log").read_text()
    seconds = time.monotonic() - started
    command = (sys.executable, "-c", LAND, *arguments)
    landed_at = []
    for moment in sorted(moments("landing", kills, 1.1 * seconds)):
        killed(project.start(*command, env=project.origin.environment()), moment, group=False)
        assert wait_for_none_alive(project) == []
        landed_at.append(len(project.versions()))
        # All or nothing: the entries, the version and its stage arrive by one push.
        tags = project.bare("tag").splitlines()
        assert len(tags) in (0, 2)
        assert (project.bare("rev-parse", "main") == arguments[0]) == (not tags)
    assert landed_at == sorted(landed_at)
    last = project.start(*command, env=project.origin.environment())
    assert last.wait(120) == 0, (project.home / "started.log").read_text()
    (version,) = project.versions()
    (expected,) = undisturbed.versions()
    assert (version.name, version.stage) == ("reviews@v1.0.0", "production")
    assert project.bare("rev-list", "--count", "main") == undisturbed.bare("rev-list", "--count", "main")
    assert project.bare("rev-parse", "main^{tree}") == undisturbed.bare("rev-parse", "main^{tree}")
    assert version.facts["metrics"] == expected.facts["metrics"]
    assert in_remote(Path(project.origin.remote or ""), ready.entries)
    assert list((project.origin.home / "work").iterdir()) == []
