"""Writes are whole or not at all, through errors, kills and a full disk; checksums are DVC's."""

import csv
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from luodi import files
from luodi.errors import ArtifactError

ROOT = Path(__file__).resolve().parents[2]
SIZE = 3_000_000


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Any:
    """A file system of one MiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def writer(path: Path, kind: str) -> "subprocess.Popen[str]":
    """A process that writes `path` without end, each time with one letter repeated, and prints when it begins."""
    code = f"""
import itertools, sys
from pathlib import Path
from luodi import files
path = Path({str(path)!r})
print("begun", flush=True)
for letter in itertools.cycle("abcdef"):
    if {kind!r} == "file":
        files.write_text(path, letter * {SIZE})
    else:
        with files.replacing_folder(path) as folder:
            for name in ("1", "2", "3"):
                (folder / name).write_text(letter * ({SIZE} // 3))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
    return process


def content(path: Path) -> str:
    parts = [path] if path.is_file() else sorted(path.iterdir())
    return "".join(part.read_text() for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_write_leaves_one_whole_version(kind: str, seed: int, tmp_path: Path) -> None:
    path = tmp_path / "result"
    process = writer(path, kind)
    while not path.exists():
        time.sleep(0.001)
    time.sleep(random.Random(seed).uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    # A folder is moved aside before the new one moves in: killed between the two, it lies aside, whole.
    found = path if path.exists() else next(tmp_path.glob(".result.*.old"))
    letters = content(found)
    assert len(letters) == SIZE
    assert len(set(letters)) == 1


@pytest.mark.slow
def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result"
    process = writer(path, "file")
    try:
        while not path.exists():
            time.sleep(0.001)
        seen = {(len(letters), len(set(letters))) for letters in (path.read_text() for _ in range(50))}
    finally:
        process.kill()
        process.wait()
    assert seen == {(SIZE, 1)}


@pytest.mark.parametrize("manager", [files.replacing, files.replacing_folder])
@pytest.mark.parametrize("existed", [True, False])
def test_an_error_leaves_what_was_there_and_nothing_else(
    manager: Callable[..., Any], existed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "result"
    folder = manager is files.replacing_folder
    if existed:
        with manager(path) as temporary:
            (temporary / "x" if folder else temporary).write_text("old")
    with pytest.raises(RuntimeError, match="stop"), manager(path) as temporary:
        (temporary / "x" if folder else temporary).write_text("new")
        raise RuntimeError("stop")
    assert list(path.parent.iterdir()) == ([path] if existed else [])
    if existed:
        assert content(path) == "old"


@pytest.mark.parametrize("manager", [files.replacing, files.replacing_folder])
def test_an_error_names_what_was_asked_for_and_not_the_temporary_name(manager: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, manager(Path("/proc/x")) as temporary:
        temporary.write_text("x")
    assert caught.value.filename == "/proc/x"
    with pytest.raises(FileNotFoundError) as caught, manager(tmp_path / "x") as temporary:
        (temporary / "no" / "file").write_text("x")
    assert caught.value.filename == str(tmp_path / "x" / "no" / "file")
    with pytest.raises(OSError, match="No space") as full, manager(tmp_path / "x"):
        Path("/dev/full").write_text("x")  # a write that fails names nothing
    assert full.value.filename == str(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_swapped_whole(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.mkdir()
    (path / "gone").write_text("old")
    with files.replacing_folder(path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "new").write_text("new")
        assert (path / "gone").exists()
    assert [one.name for one in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "result"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [files.write_text, files.write_json])
def test_a_full_disk_leaves_the_old_content(write: Callable[..., Any], tiny_disk: Path) -> None:
    path = tiny_disk / "result"
    write(path, "old")
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left") as caught:
        write(path, "x" * 2_000_000)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert list(tiny_disk.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_folder(tiny_disk: Path) -> None:
    path = tiny_disk / "result"
    with files.replacing_folder(path) as folder:
        (folder / "x").write_text("old")
    with pytest.raises(OSError, match="No space left"), files.replacing_folder(path) as folder:
        (folder / "x").write_text("y" * 2_000_000)
    assert content(path) == "old"
    assert list(tiny_disk.iterdir()) == [path]


@pytest.mark.parametrize("rows", [300_000, 10_000_000])
def test_an_array_that_does_not_fit_says_so_by_number(rows: int, tiny_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_array(tiny_disk / "a.npy", np.zeros(rows, np.float32))
    assert caught.value.errno == errno.ENOSPC


def test_an_array_is_written_as_numpy_does(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    files.write_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@given(JSON)
def test_json_round_trip(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any] | list[Any] | str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    files.write_json(path, value)
    assert files.read_json(path) == value


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    for name, value in (("a", {"x": 1, "y": {"好": 2, "a": 3}}), ("b", {"y": {"a": 3, "好": 2}, "x": 1})):
        files.write_json(tmp_path / name, value)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "好" in (tmp_path / "a").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_is_not_json(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a", {"x": value})
    assert list(tmp_path.iterdir()) == []


def test_the_checksum_of_a_file_is_its_md5(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(3_000_000))
    assert files.checksum(path) == hashlib.md5(path.read_bytes()).hexdigest()


FOLDERS = [
    ["a"],
    ["b", "a"],
    ["a/x", "a-b/x", "a.b/x", "a0/x"],  # "-" and "." stand before "/", "0" after it
    ["评论/数据.parquet", "a b/é", ".hidden"],
    ["deep/er/est/x", "deep/er/x", "deep/x"],
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each kind, numbered, that one DVC has recorded."""
    root = tmp_path_factory.mktemp("recorded")
    for place, names in enumerate(FOLDERS):
        for name in names:
            path = root / str(place) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    env = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    for arguments in (["init", "--no-scm"], ["add", *map(str, range(len(FOLDERS)))]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], cwd=root, env=env, check=True)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(FOLDERS)))
def test_the_checksum_of_a_folder_is_what_dvc_records(place: int, recorded: Path) -> None:
    pointer = yaml.safe_load((recorded / f"{place}.dvc").read_text())
    assert files.folder_checksum(recorded / str(place)) == pointer["outs"][0]["md5"]


def test_the_checksum_of_the_real_data_is_what_dvc_recorded() -> None:
    if not (ROOT / "data").is_dir():
        pytest.skip("the data has not been fetched")
    recorded = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]
    assert files.folder_checksum(ROOT / "data") == recorded["md5"]
    assert json.loads(json.dumps(recorded["nfiles"])) == sum(path.is_file() for path in (ROOT / "data").rglob("*"))


@pytest.mark.parametrize("written", [{"rows": 3}, {"format": 2, "rows": 3}, {"format": "x", "rows": 3}])
def test_facts_of_an_older_luodi_are_read(tmp_path: Path, written: Any) -> None:
    files.write_json(tmp_path / "facts.json", written)
    assert files.read_facts(tmp_path / "facts.json") == {"rows": 3}


def test_facts_are_written_with_the_number_of_their_form(tmp_path: Path) -> None:
    files.write_facts(tmp_path / "facts.json", {"rows": 3})
    assert files.read_json(tmp_path / "facts.json") == {"format": files.FORMAT, "rows": 3}
    assert files.read_facts(tmp_path / "facts.json") == {"rows": 3}


def test_facts_of_a_newer_luodi_are_refused(tmp_path: Path) -> None:
    files.write_json(tmp_path / "facts.json", {"format": files.FORMAT + 1, "rows": 3})
    with pytest.raises(
        ArtifactError, match=r"facts\.json was written by a newer luodi: it is of format 3, and this one"
    ):
        files.read_facts(tmp_path / "facts.json")
    (tmp_path / "facts.json").write_text("[]")
    with pytest.raises(ValueError, match="expected a JSON object"):
        files.read_facts(tmp_path / "facts.json")


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_what_begins_as_a_formula_is_text_in_a_sheet(tmp_path: Path, cell: str) -> None:
    files.write_sheet(tmp_path / "x.csv", ["one", "two", "three"], [(cell, f"a{cell}", None), (0.5, '好\n"', "")])
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file))[1:] == [[f"'{cell}", f"a{cell}", ""], ["0.5", '好\n"', ""]]


@given(st.lists(st.text(st.sampled_from("'=+-@\t\ra好"), max_size=5), min_size=1))
def test_the_mark_of_a_sheet_is_taken_off_and_nothing_else(cells: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files.write_sheet(Path(folder) / "x.csv", ["cell"], [[cell] for cell in cells])
        with (Path(folder) / "x.csv").open(encoding="utf-8-sig", newline="") as file:
            found = [row[0] for row in csv.reader(file)][1:]
    assert not any(cell.startswith(files.ACTING) for cell in found)
    assert [files.unmarked(cell) for cell in found] == cells
