"""Private clones while other tasks of the host make, fail and sweep theirs at the same instant."""

import subprocess
import sys

import pytest
from project import Done

from luodi.project.workspace import KEPT_FAILURES

TASKS, ROUNDS = 4, 15

pytestmark = pytest.mark.slow

# Each round works in a clone; every third fails. Whatever the others do, the clone stays and the error is its own.
WORK = """
import sys
from luodi.project import workspace
from luodi.errors import ArtifactError
from luodi.project.origin import Origin
from luodi.system.processes import Runner
for number in range(int(sys.argv[2])):
    try:
        with workspace.clone(Origin.from_environment(), sys.argv[1], Runner(print)) as clone:
            if number % 3 == 2:
                raise ArtifactError("on purpose")
            clone.git("status", "--porcelain")
            assert (clone.root / "params.yaml").exists()
    except ArtifactError:
        pass
"""


def test_tasks_of_one_host_do_not_disturb_each_other(ready: Done) -> None:
    project = ready.project
    command = [sys.executable, "-c", WORK, project.bare("rev-parse", "main"), str(ROUNDS)]
    environment = project.env | project.origin.environment()
    tasks = [
        subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(TASKS)
    ]
    outputs = [task.communicate(timeout=300)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0] * TASKS, outputs
    assert list((project.origin.home / "work").iterdir()) == []
    kept = list((project.origin.home / "failed").iterdir())
    assert 0 < len(kept) <= KEPT_FAILURES
    assert all((folder / "params.yaml").exists() for folder in kept)


def test_a_clone_is_private(ready: Done) -> None:
    """It pushes nowhere by itself, reads no cache but the origin's, and leaves the checkout alone."""
    from luodi.project import workspace
    from luodi.system.processes import Runner

    project = ready.project
    before = project.bare("for-each-ref"), project.git("status", "--porcelain", "--ignored")
    with workspace.clone(project.origin, project.bare("rev-parse", "main"), Runner(print)) as clone:
        (clone.root / "params.yaml").unlink()
        assert clone.dvc("config", "--local", "cache.dir").strip() == str(project.origin.home / "cache")
        assert clone.dvc("config", "--local", "core.remote").strip() == "luodi"
        assert clone.dvc("config", "--local", "remote.luodi.url").strip() == project.origin.remote
    assert (project.bare("for-each-ref"), project.git("status", "--porcelain", "--ignored")) == before
    assert not clone.root.exists()
