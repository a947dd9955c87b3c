"""Classify more rows than memory holds, on all cores, into one file; what ended it halfway, the same again goes on.

Rows are taken a part at a time. The answers of a part lie in a file of their own, named by what the part holds and by
the version, in a hidden folder beside the output; when all are there, they become the output by a rename.
"""

import fcntl
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from luodi.data import text
from luodi.data.image import Unfit
from luodi.data.inputs import BATCH, Part
from luodi.errors import BrokenData, LuodiError, WrongValue
from luodi.files import replacing
from luodi.scoring.inference import Classifier
from luodi.system.threads import in_threads
from luodi.terminal import json_line, shown

ANSWER = {"prediction": pa.string(), "probability": pa.float64(), "version": pa.string(), "reason": pa.string()}
"""Columns that stand behind those of the input; `reason` says why there is no prediction."""
NOTHING = "nothing to classify"
DIGITS = 6
FORM = 1  # of the parts: another is not gone on with
Rows: TypeAlias = pa.Table | list[Mapping[Any, Any]]


@dataclass(frozen=True)
class Scored:
    """What came of it: rows in all, and those of parts that an earlier try had left."""

    rows: int
    kept: int


def score(
    parts: Iterable[Part],
    classifier: Classifier,
    version: str,
    target: Path,
    *,
    digest: str = "",
    told: Callable[[int], object] = id,
) -> Scored:
    """Write `target`: the rows of all parts in their order, with what the version says of each.

    Args:
        parts: Read but a few ahead.
        version: Its name.
        target: Its suffix is one of `KINDS`.
        digest: Of the files of the version.
        told: Takes the number of rows that are done, now and then.

    Raises:
        WrongValue: The suffix is none of these.
        LuodiError: Another process writes the same output.
        BrokenData: The input has a column of a name in `ANSWER`, or one that the output cannot hold.
    """
    kind = kind_of(target)
    folder = target.with_name(f".{target.name}.parts")
    key = json.dumps([FORM, digest, version, target.suffix.lower(), list(classifier.labels)]).encode()

    def step(numbered: tuple[int, Part]) -> tuple[Path, int, bool]:
        number, part = numbered
        path = folder / f"{number:08}-{_digest(key, part)}"
        return path, len(part.items), _part(path, part, classifier, version, kind)

    rows = kept = 0
    with _alone(folder):
        paths = []
        for path, count, there in in_threads(step, enumerate(parts)):
            paths.append(path)
            rows, kept = rows + count, kept + count * there
            told(rows)
        with replacing(target) as temporary:
            kind.join(paths, temporary)
    shutil.rmtree(folder)
    return Scored(rows, kept)


def texts_of(classifier: Classifier, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the probabilities of texts; NaN for a text that holds nothing to classify."""
    try:
        return classifier.probabilities(texts)
    except text.Nothing:
        there = np.array([bool(one) for one in text.clean(text.column(texts)).to_pylist()])
        found = np.full((len(texts), len(classifier.labels)), np.nan, np.float32)
        found[there] = classifier.probabilities([one for one, words in zip(texts, there, strict=True) if words])
        return found


def images_of(classifier: Classifier, names: Sequence[str], images: Sequence[bytes]) -> NDArray[np.float32]:
    """Return the probabilities of image files; an unfit one is named."""
    try:
        return classifier.probabilities(images)
    except Unfit:
        for name, content in zip(names, images, strict=True):
            try:
                classifier.probabilities([content])
            except Unfit as error:
                raise BrokenData(f"{name}: {error}, or move it away") from None
        raise


ANSWERING: dict[str, Callable[[Classifier, Sequence[Any], Sequence[str]], NDArray[np.float32]]] = {
    "text": lambda classifier, items, names: texts_of(classifier, items),
    "image": lambda classifier, items, names: images_of(classifier, names, items),
}


def answers(probabilities: NDArray[np.float32], labels: Sequence[str]) -> Iterator[tuple[str | None, float | None]]:
    """Yield the likeliest label of each row and its probability; None and None where it is NaN."""
    best = probabilities.argmax(1)
    for place, value in zip(best.tolist(), probabilities[np.arange(len(best)), best].tolist(), strict=True):
        yield (None, None) if math.isnan(value) else (labels[place], round(value, DIGITS))


def _part(path: Path, part: Part, classifier: Classifier, version: str, kind: "Kind") -> bool:
    """Write the answers of a part, unless its file is there; return whether it was."""
    if path.exists():
        return True
    found = list(answers(_probabilities(classifier, part), classifier.labels))
    columns: dict[str, list[Any]] = {
        "prediction": [label for label, _ in found],
        "probability": [value for _, value in found],
        "version": [version] * len(found),
        "reason": [NOTHING if label is None else None for label, _ in found],
    }
    with replacing(path) as temporary:
        kind.write(part.rows, columns, temporary)
    return False


def _probabilities(classifier: Classifier, part: Part) -> NDArray[np.float32]:
    """Of all items, as many at a time as they are answered on standard output."""
    pieces = []
    for at in range(0, len(part.items), BATCH):
        names = [str(row.get("file")) for row in part.rows[at : at + BATCH]] if isinstance(part.rows, list) else []
        pieces.append(ANSWERING[classifier.encoder.modality](classifier, part.items[at : at + BATCH], names))
    return np.concatenate(pieces)


def _digest(key: bytes, part: Part) -> str:
    """Of all that the answers of a part depend on, and of what stands beside them."""
    found = hashlib.blake2b(key, digest_size=16)
    if isinstance(part.rows, pa.Table):
        found.update(part.rows.schema.serialize())
        for batch in part.rows.to_batches():
            found.update(batch.serialize())
    else:
        found.update(json.dumps(part.rows).encode())
    for one in part.items:
        content = one if isinstance(one, bytes) else one.encode()
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LuodiError(
                f"{shown(folder.parent)}: another luodi predict writes the same output: wait for it, or name another"
            ) from None
        yield


def _of_columns(rows: Rows, columns: Mapping[str, list[Any]]) -> pa.Table:
    """The rows as a table, and the answers behind them; what JSON nests is written as JSON."""
    if isinstance(rows, list):
        names = list(dict.fromkeys(name for row in rows for name in row))
        rows = pa.table({name: pa.array([_plain(row.get(name)) for row in rows], pa.string()) for name in names})
    _require_free(rows.column_names)
    for name, kind in ANSWER.items():
        rows = rows.append_column(name, pa.array(columns[name], kind))
    return rows


def _plain(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _require_free(names: Iterable[Any]) -> None:
    if taken := ANSWER.keys() & set(names):
        raise BrokenData(f"the input has a column `{min(taken)}` already, which the answers are to have: rename it")


def _objects(rows: Rows) -> list[Any]:
    """Rows as JSON has them: what it has no form for, such as a day, as a string; not a number as nothing."""
    if isinstance(rows, list):
        return rows
    for place, field in enumerate(rows.schema):
        if pa.types.is_floating(field.type):
            rows = rows.set_column(place, field.name, pc.if_else(pc.is_nan(rows[place]), None, rows[place]))
        elif not (pa.types.is_nested(field.type) or pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)):
            rows = rows.set_column(place, field.name, _castable(rows[place], field, ".jsonl"))
    return list(rows.to_pylist())


def _castable(column: pa.ChunkedArray, field: pa.Field, form: str) -> pa.ChunkedArray:
    """A column as strings. Raises BrokenData where it has none."""
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BrokenData(
            f"column `{shown(field.name, 60)}` of the input is {field.type}, which {form} cannot hold: write .parquet"
        ) from None


class Lines:
    """JSON, an object a line."""

    def write(self, rows: Rows, columns: Mapping[str, list[Any]], path: Path) -> None:
        """Write a part."""
        answered = zip(*(columns[name] for name in ANSWER), strict=True)
        with path.open("w", encoding="utf-8") as file:
            for row, answer in zip(_objects(rows), answered, strict=True):
                _require_free(row)
                told = dict(zip(ANSWER, answer, strict=True))
                file.write(json_line({**row, **(told if told["reason"] else dict(islice(told.items(), 3)))}) + "\n")

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Make the output of all parts."""
        with path.open("wb") as whole:
            for one in parts:
                with one.open("rb") as part:
                    shutil.copyfileobj(part, whole, 2**20)


class Columns:
    """Parquet: a part is a row group or several."""

    def write(self, rows: Rows, columns: Mapping[str, list[Any]], path: Path) -> None:
        pq.write_table(_of_columns(rows, columns), path, compression="zstd")

    def join(self, parts: Sequence[Path], path: Path) -> None:
        schema = self._schema(parts)
        with self._writer(path, schema) as whole:
            for one in parts:
                table = pq.read_table(one)
                for name in [name for name in schema.names if name not in table.column_names]:
                    table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
                whole.write_table(table.select(schema.names).cast(schema))

    def _schema(self, parts: Sequence[Path]) -> pa.Schema:
        """The columns of all parts, for each object of JSON has its own; the answers come last."""
        found = {field.name: field for one in parts for field in pq.read_schema(one)}
        first = pq.read_schema(parts[0]) if parts else pa.schema(list(ANSWER.items()))
        order = [name for name in found if name not in ANSWER]
        return pa.schema([*(found[name] for name in order), *ANSWER.items()], first.metadata)

    def _writer(self, path: Path, schema: pa.Schema) -> Any:
        return pq.ParquetWriter(path, schema, compression="zstd")


class Delimited(Columns):
    """CSV."""

    def _writer(self, path: Path, schema: pa.Schema) -> Any:
        return csv.CSVWriter(path, schema)

    def write(self, rows: Rows, columns: Mapping[str, list[Any]], path: Path) -> None:
        found = _of_columns(rows, columns)
        for field in found.schema:
            if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
                _castable(found[field.name], field, ".csv")
        pq.write_table(found, path, compression="zstd")


Kind = Lines | Columns
KINDS: dict[str, Kind] = {".csv": Delimited(), ".jsonl": Lines(), ".parquet": Columns()}


def kind_of(target: Path) -> Kind:
    """Return the form that the suffix of an output names; raise WrongValue where there is none."""
    if (found := KINDS.get(target.suffix.lower())) is None:
        raise WrongValue(
            f"{shown(target)}: expected {', '.join(KINDS)}, found {target.suffix or 'no suffix'}: name it so"
        )
    return found
