"""Save a Keras model, and how it learned, so that equal weights and curves are equal bytes."""

import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from luodi.nets.history import COLUMNS

# Keras writes the time of saving in the archive and in its metadata.json; the earliest that ZIP knows replaces both.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
DATE_SAVED = "1980-01-01@00:00:00"
CURVES = "events.out.tfevents.0.luodi"  # TensorBoard looks for the middle of it


def save(model: keras.Model, path: Path) -> None:
    """Write `model` to `path` in the .keras format; `keras.models.load_model` reads it in safe mode."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        saved = Path(folder) / "model.keras"
        model.save(saved)
        with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
            for name in sorted(source.namelist()):
                target.writestr(zipfile.ZipInfo(name, ZIP_DATE), _constant(name, source.read(name)))


def save_curves(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Write the rows of `training.fit` as a log that `tensorboard --logdir` finds in `folder` or above.

    A scalar a column, its step the epoch. It bears no time of writing: TensorBoard's axis of time starts in 1970.
    """
    import tensorflow as tf
    from tensorflow.core.framework.summary_pb2 import Summary
    from tensorflow.core.util.event_pb2 import Event

    with tf.io.TFRecordWriter(str(folder / CURVES)) as file:
        file.write(Event(file_version="brain.Event:2").SerializeToString())
        for row in history:
            values = [Summary.Value(tag=name, simple_value=row[name]) for name in COLUMNS[1:]]
            file.write(Event(step=int(row["epoch"]), summary=Summary(value=values)).SerializeToString())


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
