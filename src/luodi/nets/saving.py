"""Save a Keras model so that equal weights are equal bytes."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

# Keras writes the time of saving in the archive and in its metadata.json; the earliest that ZIP knows replaces both.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
DATE_SAVED = "1980-01-01@00:00:00"


def save(model: keras.Model, path: Path) -> None:
    """Write `model` to `path` in the .keras format; `keras.models.load_model` reads it in safe mode."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        saved = Path(folder) / "model.keras"
        model.save(saved)
        with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
            for name in sorted(source.namelist()):
                target.writestr(zipfile.ZipInfo(name, ZIP_DATE), _constant(name, source.read(name)))


def _constant(name: str, content: bytes) -> bytes:
    """The archive's member `name` without what differs between two runs."""
    if name == "metadata.json":
        return json.dumps({**json.loads(content), "date_saved": DATE_SAVED}).encode()
    if name == "config.json":
        return json.dumps(_renumbered(json.loads(content), {})).encode()
    return content


def _renumbered(node: Any, numbers: dict[int, int]) -> Any:
    """Count shared objects from 0 in place of the memory addresses that Keras writes."""
    if isinstance(node, list):
        return [_renumbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _renumbered(value, numbers) for key, value in node.items()}
    if "shared_object_id" in result:
        result["shared_object_id"] = numbers.setdefault(result["shared_object_id"], len(numbers))
    return result
