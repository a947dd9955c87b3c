"""The encoders of a project: each a folder below data/encoders, as encoders.yaml records it."""

from pathlib import Path

from luodi.config import encoders
from luodi.config.encoders import Kind
from luodi.errors import MissingData, SourceMismatch
from luodi.files import folder_checksum

GRAPH = "encoder.onnx"
"""To "vectors", float32 [batch, width], from "x", ids int32 [batch, length], a tokenizer beside it; or from "x", uint8
[batch, height, width, channels], STEM beside it.
"""
RECORDED = ", after `git checkout HEAD -- data.dvc` if `dvc repro` has written there that it is so"
STEM = "stem.keras"
"""The same as `GRAPH`, for Keras to train on."""


def place(root: Path, name: str) -> Path:
    """Return the folder of an encoder."""
    return root / "data" / "encoders" / name


def find(root: Path, name: str, kind: type[Kind]) -> tuple[Path, Kind]:
    """Return the folder of an encoder, proven to hold what is recorded of it, and that.

    Raises:
        UnknownKey: The project has no such encoder.
        WrongValue: It is not of that kind.
        MissingData: Its files are away.
        SourceMismatch: They are not those that were added.
    """
    recorded, folder = encoders.of(root, name, kind), place(root, name)
    if not folder.is_dir():
        raise MissingData(
            f"{folder} is away, though {encoders.NAME} records it: bring it back with `dvc pull data/encoders/{name}`"
            f"{RECORDED}"
        )
    if (found := folder_checksum(folder)) != recorded.md5:
        raise SourceMismatch(
            f"{folder} does not match {encoders.NAME}: expected {recorded.md5}, found {found}; bring back what was "
            f"added with `dvc checkout --force data/encoders/{name}`{RECORDED}"
        )
    return folder, recorded
