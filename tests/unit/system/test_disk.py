"""A full disk, a limit and a missing right are told by one sentence, in whatever words they come."""

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from luodi.errors import DiskFull, LuodiError, RemoteError, StageFailed
from luodi.local import standalone
from luodi.project import programs, workspace
from luodi.project.origin import Origin
from luodi.system import disk
from luodi.system.processes import CommandFailed, Runner

AGAIN = "run the command again"


def caught(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as raised:
        return raised


FULL = {
    "ENOSPC": OSError(errno.ENOSPC, "No space left on device", "/data/x"),
    "EDQUOT": OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x"),
    "SQLite": sqlite3.OperationalError("database or disk is full"),
    "SQLAlchemy": RuntimeError("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT ...]"),
    "h5py": OSError(
        "[Errno 28] Can't synchronously write data (file write failed: errno = 28, error message = 'No sp'"
    ),
    "numpy": OSError("400 requested and 12 written"),
    "TensorFlow": ValueError("ResourceExhaustedError: /tmp/x; No space left on device"),
    "wrapped": caught(ValueError("cannot save"), OSError(errno.ENOSPC, "No space left on device")),
    "no temporary folder": FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
}


@pytest.mark.parametrize("error", FULL.values(), ids=FULL)
def test_a_full_disk_in_an_error_of_python(error: Exception) -> None:
    told = disk.explain(error)
    assert isinstance(told, DiskFull)
    assert str(told).startswith("the disk is full") and str(told).endswith(AGAIN) and "\n" not in str(told)
    assert "/data/x" in str(told) or getattr(error, "filename", None) is None


@pytest.mark.parametrize("error", [ValueError("28"), KeyError("x"), OSError(errno.ENOENT, "No such file", "x")])
def test_any_other_error_is_none_of_the_disk(error: Exception) -> None:
    assert disk.explain(error) is None


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "/data/x: Permission denied: expected a place where this user may write"),
        (errno.EROFS, "/data/x: Read-only file system: expected a place where this user may write"),
        (errno.EMFILE, "/data/x: Too many open files: raise the limit of open files"),
    ],
)
def test_a_missing_right_and_a_limit_are_told_in_a_line(number: int, message: str) -> None:
    told = disk.explain(OSError(number, os.strerror(number), "/data/x"))
    assert str(told).startswith(message) and not isinstance(told, DiskFull)


def test_a_file_that_may_not_grow_is_told_apart(tmp_path: Path) -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9)); open('x', 'wb', 0).write(bytes(99)); "
    told = disk.full_in(
        subprocess.run(
            [sys.executable, "-c", f"{code}open('x', 'ab', 0).write(bytes(99))"], cwd=tmp_path, stderr=subprocess.PIPE,
            text=True, check=False,
        ).stderr,
        tmp_path,
    )  # fmt: skip
    assert str(told).startswith("a file may not grow further") and "ulimit -f" in str(told)


PRINTED = {
    "git clone": "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output\n",
    "git index": "fatal: sha1 file '/a/.git/index.lock' write error. Out of diskspace\n",
    "git checkout": "error: unable to write file params.yaml: No space left on device\n",
    "dvc": "ERROR: unexpected error - [Errno 28] No space left on device: '/srv/cache/files/md5/ab/x'\n",
    "dvc database": "ERROR: unexpected error - database or disk is full\n\nHaving any troubles?",
    "quota": "ERROR: failed to transfer 'md5: 1' - [Errno 122] Disk quota exceeded\nERROR: failed to push data\n",
    "a stage of one's own": "Traceback\nOSError: [Errno 28] No space left on device\n"
    "ERROR: failed to reproduce 'train@m': failed to run: ./train, exited with 1\n",
    "a stage": "error: the disk is full while writing /a/b: free some space and run the command again\n"
    "ERROR: failed to reproduce 'train@m': failed to run: luodi train m, exited with 70\n",
}


@pytest.mark.parametrize("output", PRINTED.values(), ids=PRINTED)
def test_a_full_disk_in_what_dvc_and_git_print(output: str, tmp_path: Path) -> None:
    told = programs._explain_dvc(CommandFailed(["dvc"], 1, output), tmp_path)
    assert isinstance(told, DiskFull), repr(told)
    assert "disk is full" in str(told) and str(told).endswith(AGAIN) and "\n" not in str(told)
    assert ("/srv/cache" in str(told)) == ("/srv/cache" in output)


def test_what_else_a_stage_or_a_remote_says_stays_what_it_is(tmp_path: Path) -> None:
    failed = "error: no\nERROR: failed to reproduce 'train@m': failed to run: luodi train m, exited with 3\n"
    told = programs._explain_dvc(CommandFailed(["dvc"], 255, failed), tmp_path)
    assert isinstance(told, StageFailed) and told.code == 3
    told = programs._explain_dvc(CommandFailed(["dvc"], 255, "ERROR: failed to pull data from the cloud - x"), tmp_path)
    assert isinstance(told, RemoteError)
    told = programs._explain_dvc(CommandFailed(["dvc"], 1, "ERROR: [Errno 13] Permission denied: '/srv/x'"), tmp_path)
    assert type(told) is LuodiError and str(told).startswith("/srv/x: Permission denied")


def test_what_dvc_says_of_every_file_is_said_once(tmp_path: Path) -> None:
    lines = (f"ERROR: failed to transfer '{number:032x}' - Cannot connect to host h:9\n" for number in range(50))
    said = "".join(lines) + "ERROR: failed to push data to the cloud - 50 files failed to upload\n"
    told = str(programs._explain_dvc(CommandFailed(["dvc"], 1, said), tmp_path))
    assert told.startswith("the DVC remote cannot be used: Cannot connect to host h:9\nfailed to push")
    assert len(told.splitlines()) == 3


def test_git_meets_the_limit_as_an_error_and_not_as_a_signal(tmp_path: Path) -> None:
    """And what it had begun to write is swept away."""
    (tmp_path / "big").write_bytes(os.urandom(40_000))
    runner, repository = Runner(print), tmp_path / "home" / "x.git"
    runner.run("git", "init", "--quiet", "--bare", str(repository), cwd=tmp_path)
    origin = Origin(str(repository), "main", None, tmp_path / "home")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    try:
        with pytest.raises(DiskFull, match="a file may not grow further"):
            programs.git(origin, runner, repository, "hash-object", "-w", str(tmp_path / "big"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(repository.rglob("tmp_*"))


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("2026 [error] Task failed\nluodi.errors.DiskFull: the disk is full while writing /a: x\n2026 [info] end\n",
         "it failed: the disk is full while writing /a: x"),
        ("airflow.sdk.exceptions.AirflowFailException: `luodi train m`: the disk is full while writing /a: x\nend\n",
         "it failed: `luodi train m`: the disk is full while writing /a: x"),
        ("sqlalchemy.exc.OperationalError: database or disk is full\n", "it failed: the disk is full"),
    ],
)  # fmt: skip
def test_a_full_disk_that_ended_airflow_is_told_in_a_line(log: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "airflow.log").write_text(log)
    told = standalone._failed(StageFailed, "it failed", tmp_path / "airflow.log")
    assert isinstance(told, DiskFull) and str(told).startswith(message) and "\n" not in str(told)


def test_a_database_that_may_not_grow_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "airflow.log").write_text(
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) disk I/O error\n"
    )
    assert type(standalone._failed(StageFailed, "it failed", tmp_path / "airflow.log")) is StageFailed
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**9, before[1]))
    try:
        told = standalone._failed(StageFailed, "it failed", tmp_path / "airflow.log")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(told, DiskFull) and str(told).startswith("it failed: a file may not grow further")


@pytest.mark.parametrize("where", ["{}/.git/index.lock", "below {}"])
def test_a_full_disk_names_what_is_there_after_the_clone_is_gone(where: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for command in (["init", "--quiet", "-b", "main", str(project)], ["commit", "--quiet", "--allow-empty", "-m", "x"]):
        programs.git(
            Origin(str(project), "main", None, tmp_path), Runner(print),
            project if project.exists() else tmp_path, "-c", "user.name=x", "-c", "user.email=x", *command,
        )  # fmt: skip
    origin = Origin(str(project), "main", None, tmp_path / "home")
    with (
        pytest.raises(DiskFull, match=rf"full while writing below {origin.home}: free"),
        workspace.clone(origin, "main", Runner(print)) as clone,
    ):
        raise disk.full(where.format(clone.root))


def test_another_end_of_airflow_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "airflow.log").write_text("error: a stage failed\n")
    told = standalone._failed(StageFailed, "it failed", tmp_path / "airflow.log")
    assert type(told) is StageFailed and str(told).endswith("airflow.log:\nerror: a stage failed")
