"""What Git LFS leaves where it did not bring a file, as in a data set of the Hugging Face Hub that git cloned alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from luodi.config import user_code
from luodi.data import documents, inputs, pictures, tables
from luodi.data.class_folders import Filed
from luodi.data.columns import NOTHING
from luodi.data.labels import Labels
from luodi.errors import LuodiError
from luodi.pretrained import checkpoint, untrusted

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d2\nsize 12345\n"


def read_texts(path: Path) -> object:
    return list(documents.opened(path.parent.parent, tables.PLAIN, NOTHING, Labels(), path.parent).rows)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        *((f"train{kind}", tables.look) for kind in (".csv", ".parquet", ".jsonl", ".xlsx", ".zip", ".csv.gz")),
        ("good/1.txt", read_texts),
        ("good/1.txt.gz", read_texts),
        ("1.png", lambda path: list(inputs.images(str(path.parent)))),
        ("1.png", lambda path: list(pictures.images([Filed(path, "good", "train", "1.png")]))),
        ("model.safetensors", checkpoint._file),
        ("config.json", untrusted.json_object),
        ("suite.json", lambda path: user_code.suite("suite.json", path.parent)),
    ],
)
def test_a_pointer_is_not_taken_for_the_file(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(POINTER)
    with pytest.raises(LuodiError, match=r"is a pointer of Git LFS, not the file itself: run `git lfs install && git"):
        read(path)


def test_a_file_that_a_users_code_names_is_no_pointer(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def links(settings):\n    return open('banned.txt').read()\n")
    (tmp_path / "banned.txt").write_text(POINTER)
    with pytest.raises(LuodiError, match=r"banned\.txt is a pointer of Git LFS"):
        user_code._digest("rules:links", tmp_path)
