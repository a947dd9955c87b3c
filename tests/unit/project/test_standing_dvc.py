"""Commands of a DVC that stands by are as those of a DVC of their own, and end as those."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from luodi.errors import StageFailed
from luodi.project import programs, standing_dvc, strict_dvc
from luodi.system.processes import CommandFailed, Runner

pytestmark = pytest.mark.slow

STAGES = """\
stages:
  tell:
    cmd: echo "$WHO in $PWD"
  fail:
    cmd: echo "why" >&2; exit 7
  wait:
    cmd: echo $$ > pid; trap '' TERM; while :; do sleep 0.1; done
"""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[psutil.Process]:
    """The process that stands by; it is gone with the last test."""
    standing_dvc.begin()
    (here,) = standing_dvc._here
    yield psutil.Process(here.process.pid)
    here.process.kill()
    here.process.wait()
    here.channel.close()
    standing_dvc._here.clear()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "nowhere"))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "dvc.yaml").write_text(STAGES)
    return tmp_path


def repro(root: Path, stage: str, start: object = standing_dvc.start) -> list[str]:
    lines: list[str] = []
    programs.dvc(Runner(lines.append, start), root, "repro", "-f", stage, ";", "root", stream=True)  # type: ignore[arg-type]
    return lines


def test_a_command_has_folder_and_variables_of_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "first")
    assert f"first in {root}" in repro(root, "tell")
    monkeypatch.setenv("WHO", "second")
    ours = repro(root, "tell")
    assert f"second in {root}" in ours
    assert repro(root, "tell", subprocess.Popen) == ours


def test_it_is_one_process_that_has_imported_dvc(root: Path, server: psutil.Process) -> None:
    seen: list[int] = []

    def started(*arguments: object, **options: object) -> object:
        process = standing_dvc.start(*arguments, **options)  # type: ignore[arg-type]
        seen.append(psutil.Process(process.pid).ppid())
        return process

    repro(root, "tell", started)
    repro(root, "tell", started)
    assert seen == [server.pid, server.pid]


def test_a_failure_is_told_as_ever(root: Path) -> None:
    with pytest.raises(StageFailed) as ours:
        repro(root, "fail")
    with pytest.raises(StageFailed) as other:
        repro(root, "fail", subprocess.Popen)
    assert (ours.value.code, str(ours.value)) == (7, str(other.value))


def test_a_killed_command_dies_whole_and_the_next_one_runs(root: Path) -> None:
    runner = Runner(lambda line: None, standing_dvc.start)

    def kill() -> None:
        wait_for(root / "pid")
        runner.kill(grace=0.5)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises((CommandFailed, StageFailed)):
        programs.dvc(runner, root, "repro", "wait", stream=True)
    killer.join()
    left = int((root / "pid").read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE
    (root / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
    assert repro(root, "tell")


def test_without_it_a_dvc_of_its_own_is_started(root: Path, server: psutil.Process) -> None:
    os.kill(server.pid, signal.SIGKILL)
    standing_dvc._here[0].process.wait()
    assert repro(root, "tell")


def wait_for(file: Path) -> None:
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.05)


def test_a_text_is_parsed_once_and_what_comes_of_it_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    load = YAML.load

    def counted(self: YAML, stream: str) -> object:
        parsed.append(stream)
        return load(self, stream)

    monkeypatch.setattr(YAML, "load", counted)
    strict_dvc.parse_once()
    first, second = (YAML(typ="safe").load("a: {b: [1]}") for _ in range(2))
    assert first == second == {"a": {"b": [1]}} and parsed == ["a: {b: [1]}"]
    first["a"]["b"].append(2)
    assert YAML(typ="safe").load("a: {b: [1]}") == second
    assert YAML().load("a: {b: [1]}").fa is not None  # with its layout, for who writes it again
    assert YAML(typ="safe").load("a: 2") == {"a": 2}
    for _ in range(2):
        with pytest.raises(YAMLError):
            YAML(typ="safe").load("a: [")
