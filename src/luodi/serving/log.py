"""The request log: what was asked and answered, in Parquet files that a bounded folder or bucket holds.

Whole requests are sampled by a hash of their id, so that whoever knows an id knows whether it was logged. Texts are
masked and images reduced by the cleaning of the version that answers: what the model does not see is not kept. A file
is written under a temporary name and renamed; the oldest files go where all together are too large. Nothing here stops
a server: what cannot be kept is counted.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi.data import modality
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError, BrokenData, MissingData, RemoteError
from luodi.terminal import shown

PRODUCTION, CANARY, SHADOW = "production", "canary", "shadow"
"""Roles of a version that answers: a shadow's answer is for the log alone."""
FORMAT = 1
"""Of the files, in their metadata."""
SCHEMA = pa.schema(
    [
        pa.field("request", pa.string(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("label", pa.string(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),
        pa.field("ms", pa.float32(), nullable=False),
    ]
)
"""A row is an item of a request, as one version answered it; `probabilities` are in the order of its labels."""
FORMAT_KEY, LABELS_KEY = b"luodi.format", b"luodi.labels"
"""Of a file's metadata; the labels of each version in it, as JSON."""
SALT = b"luodi log"  # a canary's share is drawn by the id too: the log is to hold requests of both
ROW = 200  # bytes of a row beside its item and its probabilities, about
STAMP = "%Y%m%dT%H%M%S%fZ"
WHOLE, HALF = ".parquet", ".parquet.tmp"


@dataclass(frozen=True)
class Answered:
    """A request, as one version answered it.

    Attributes:
        at: When it came, with a time zone.
        version: Such as "reviews@v1.2.0".
        role: `PRODUCTION`, `CANARY` or `SHADOW`.
        items: Raw, as they were asked: texts, or image files.
        probabilities: float32 [items, classes].
        ms: How long it took.
        encoder: Of the version; knows its labels, and how an item is cleaned.
        places: Of the items in the request, where some of it could not be classified; None where all could.
    """

    request: str
    at: datetime
    model: str
    version: str
    role: str
    items: Sequence[Any]
    probabilities: NDArray[np.float32]
    ms: float
    encoder: Encoder
    places: Sequence[int] | None = None

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return self.probabilities.nbytes + sum(ROW + len(item) for item in self.items)


@dataclass(frozen=True)
class Counts:
    """Rows by what became of them, and files.

    Attributes:
        written: Are in a file.
        dropped: Came while as many waited as may, or could not be written for so long.
        failed: Tries to write a file that ended with an error, the last of which is `error`.
        files, removed: That were written, and that had to go for the log to stay within its bound.
    """

    written: int = 0
    dropped: int = 0
    failed: int = 0
    files: int = 0
    removed: int = 0
    error: str = ""


class Log:
    """Writes the request log from a thread of its own; `add` never waits, and nothing raises.

    Args:
        url: A folder, or a URL that fsspec knows.
        share: Of requests that are kept, 0 to 1.
        seconds: Between two files of a model; what was asked since the last is lost with the process.
        most: Bytes of all files together.
        waiting: Bytes that may wait to be written, about; the table of them takes several times as many.
    """

    def __init__(
        self, url: str, *, share: float = 1.0, seconds: float = 60.0, most: int = 2**30, waiting: int = 16 * 2**20
    ) -> None:
        self._fs, self._root = _opened(url)
        self._share, self._seconds, self._most, self._room = share, seconds, most, waiting
        self._counts, self._queue, self._held = Counts(), deque[Answered](), 0
        self._own, self._number = uuid.uuid4().hex[:8], 0
        self._lock, self._stop, self._wake = threading.Lock(), False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="request log", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        """What became of all rows so far."""
        with self._lock:
            return self._counts

    def wants(self, request: str) -> bool:
        """Whether a request of that id belongs to the sample."""
        return drawn(request, self._share)

    def add(self, answered: Answered) -> None:
        """Take in an answer, if its request belongs to the sample and there is room; never waits."""
        if not self.wants(answered.request):
            return
        size = answered.size
        with self._lock:
            fits = not self._stop and self._held + size <= self._room
            if fits:
                self._held += size
                self._queue.append(answered)
            else:
                self._count(dropped=len(answered.items))
        if fits and self._held > self._room // 2:
            self._wake.set()

    def close(self) -> None:
        """Write what waits, and end; what cannot be written is dropped."""
        with self._lock:
            self._stop = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(self._seconds)
            self._wake.clear()
            self._flush()
        self._flush()
        with self._lock:  # of a last file that could not be written
            self._count(dropped=_items(self._queue))
            self._queue.clear()

    def _flush(self) -> None:
        with self._lock:
            came = list(self._queue)
            self._queue.clear()
        by_model = defaultdict[str, list[Answered]](list)
        for one in came:
            by_model[one.model].append(one)
        for model, found in by_model.items():
            self._write_model(model, found)
        if by_model:
            with contextlib.suppress(Exception):  # the next file tries again
                self._bound()

    def _write_model(self, model: str, found: list[Answered]) -> None:
        """Write a file; what could not be written comes first again, while there is room for it."""
        try:
            content = _parquet(as_table(found))
        except Exception as error:  # an item that no cleaning reads: it would be as bad the next time
            bad, found = _apart(found)
            self._end(bad, dropped=_items(bad), error=_told(error))
            if not found:
                return
            content = _parquet(as_table(found))
        rows = _items(found)
        try:
            self._write(model, content)
        except Exception as error:  # whatever a disk, a bucket or a library raises: the server goes on
            with self._lock:
                again = self._held <= self._room // 2
                if again:
                    self._queue.extendleft(reversed(found))
                self._count(failed=1, error=_told(error))
            if not again:
                self._end(found, dropped=rows)
            return
        self._end(found, written=rows, files=1)

    def _end(self, found: list[Answered], error: str = "", **more: int) -> None:
        with self._lock:
            self._held -= sum(one.size for one in found)
            self._count(error, **more)

    def _write(self, model: str, content: bytes) -> None:
        now = datetime.now(UTC)
        self._number += 1
        folder = f"{self._root}/{model}/{now.date().isoformat()}"
        name = f"{folder}/{now.strftime(STAMP)}-{self._own}-{self._number:06}"
        self._fs.makedirs(folder, exist_ok=True)
        try:
            with self._fs.open(name + HALF, "wb") as file:
                file.write(content)
                file.flush()
                with contextlib.suppress(io.UnsupportedOperation):  # of a bucket
                    os.fsync(file.fileno())
            self._fs.mv(name + HALF, name + WHOLE)
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm_file(name + HALF)
            raise

    def _bound(self) -> None:
        """Remove the oldest files, of whatever model, until what is left is small enough; the newest one stays."""
        sizes = _files(self._fs, self._root, (WHOLE, HALF))
        total, oldest = sum(sizes.values()), sorted(sizes, key=lambda path: path.rpartition("/")[2])
        for path in oldest[:-1]:
            if total <= self._most:
                return
            with contextlib.suppress(FileNotFoundError):  # another process of the server was first
                self._fs.rm_file(path)
                with self._lock:
                    self._count(removed=1)
            total -= sizes[path]

    def _count(self, error: str = "", **more: int) -> None:
        """Add to the counts; the lock is held."""
        counts = {name: getattr(self._counts, name) + number for name, number in more.items()}
        self._counts = replace(self._counts, **counts, **({"error": error} if error else {}))  # type: ignore[arg-type]


def drawn(request: str, share: float) -> bool:
    """Whether the hash of a request's id falls within a share, 0 to 1."""
    digest = hashlib.blake2b(request.encode("utf-8", "replace"), digest_size=8, key=SALT).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def as_table(found: Sequence[Answered]) -> pa.Table:
    """Return answers as rows of `SCHEMA`, items clean; an item that no cleaning leaves anything of is an empty one.

    Those of one version stand together, for its items are cleaned at once.
    """
    labels = {one.version: list(one.encoder.labels) for one in found}
    metadata = {FORMAT_KEY: str(FORMAT).encode(), LABELS_KEY: json.dumps(labels, ensure_ascii=False).encode()}
    tables = [_rows([one for one in found if one.version == version]) for version in labels]
    return pa.concat_tables(tables).replace_schema_metadata(metadata)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _items(found: Sequence[Answered]) -> int:
    return sum(len(one.items) for one in found)


def _apart(found: Sequence[Answered]) -> tuple[list[Answered], list[Answered]]:
    """Those that make no rows, and those that do."""
    bad, good = list[Answered](), list[Answered]()
    for one in found:
        try:
            as_table([one])
            good.append(one)
        except Exception:
            bad.append(one)
    return bad, good


def _told(error: Exception) -> str:
    return shown(f"{type(error).__name__}: {error}")


def _rows(found: Sequence[Answered]) -> pa.Table:
    """The rows of one version."""
    encoder = found[0].encoder
    kind, counts = modality.of(encoder.modality), [len(one.items) for one in found]
    items = [item for one in found for item in one.items]
    shares = np.concatenate([one.probabilities for one in found]).astype(np.float32)
    columns = {
        "item": [place for one, count in zip(found, counts, strict=True) for place in one.places or range(count)],
        "text": pa.nulls(len(items)),
        "image": pa.nulls(len(items)),
        encoder.modality: kind.cleaner(encoder)(kind.column(items)),  # of its settings it asks what the encoder has too
        "label": np.array(encoder.labels, object)[shares.argmax(axis=1)],
        "probabilities": pa.ListArray.from_arrays(
            np.arange(len(items) + 1, dtype=np.int32) * shares.shape[1], shares.ravel()
        ),
    }
    for name in ("request", "at", "model", "version", "role", "ms"):
        columns[name] = [
            value for one, count in zip(found, counts, strict=True) for value in [getattr(one, name)] * count
        ]
    return pa.table([_column(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _column(values: Any, kind: pa.DataType) -> Any:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


@dataclass(frozen=True)
class Part:
    """A file of the log.

    Attributes:
        rows: Of `SCHEMA`.
        labels: Of each version in it.
    """

    rows: pa.Table
    labels: dict[str, tuple[str, ...]]


def read(url: str, model: str, since: datetime | None = None) -> Iterator[Part]:
    """Yield the files of a model, the oldest first, one in memory at a time.

    Args:
        since: With a time zone; no row that was asked before.

    Raises:
        MissingData: There is no such folder, or no file of the model in it.
        RemoteError: It cannot be reached.
        BrokenData: A file is none of a log.
        ArtifactError: A newer luodi wrote a file.
    """
    fs, root = _opened(url)
    try:
        paths = sorted(_files(fs, f"{root}/{model}", (WHOLE,)))
    except Exception as error:
        raise RemoteError(
            f"{shown(url)} cannot be read ({type(error).__name__}: {shown(error)}): look at the address and the "
            "credentials that its library finds"
        ) from None
    if not paths:
        raise MissingData(
            f"{shown(url)} holds no request log of {shown(model)}: expected files "
            f"{shown(model)}/DATE/*{WHOLE}, as `luodi serve {shown(model)} --log {shown(url)}` writes them"
        )
    for path in paths:
        if since and _date(path) < since.astimezone(UTC).date():
            continue
        with contextlib.suppress(FileNotFoundError):  # it was the oldest, and had to go
            part = _part(fs, path)
            rows = part.rows.filter(pc.greater_equal(part.rows["at"], since)) if since else part.rows
            if len(rows):
                yield replace(part, rows=rows)


def nothing(url: str, model: str, since: datetime | None) -> MissingData:
    """Return what is told where the log holds no row of a model, or none since then."""
    when = f" since {since:%Y-%m-%d %H:%M %Z}: look farther back" if since else ""
    return MissingData(f"{shown(url)} holds no row of {shown(model)}{when}")


def _part(fs: Any, path: str) -> Part:
    try:
        table = pq.read_table(io.BytesIO(fs.cat_file(path)))
        metadata = table.schema.metadata or {}
        number = int(metadata[FORMAT_KEY])
        labels = {version: tuple(names) for version, names in json.loads(metadata[LABELS_KEY]).items()}
    except (pa.ArrowException, KeyError, ValueError):
        raise BrokenData(
            f"{shown(path)} is no file of a request log, or was damaged: expected Parquet with its format in the "
            "metadata; move it out of the log"
        ) from None
    if number > FORMAT:
        raise ArtifactError(
            f"{shown(path)} was written by a newer luodi: it is of format {number}, and this one reads up to {FORMAT}: "
            "install the newer one here"
        )
    return Part(table.select(SCHEMA.names).cast(SCHEMA), labels)


def _date(path: str) -> date:
    """The day after that of the folder: a row may have been asked before midnight, and a clock of another host differ.

    A folder that is no date is always read.
    """
    try:
        return date.fromisoformat(path.split("/")[-2]) + timedelta(days=1)
    except ValueError:
        return date.max


def _opened(url: str) -> tuple[Any, str]:
    import fsspec  # here: a server without a log needs none

    try:
        fs, root = fsspec.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise MissingData(f"{shown(url)} is no folder and no URL that fsspec can open here: {shown(error)}") from None
    return fs, root.rstrip("/")


def _files(fs: Any, root: str, ends: tuple[str, ...]) -> dict[str, int]:
    """Sizes of the files below a folder whose names end so; none where there is no folder."""
    fs.invalidate_cache()
    found = fs.find(root, detail=True)
    return {path: int(one["size"] or 0) for path, one in found.items() if path.endswith(ends)}
