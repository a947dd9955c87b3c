"""What the request log tells, read once, a file in memory at a time.

All rows are counted. What is compared, and what is worth a label, is looked for in a sample: the requests whose hash is
lowest, whole, so that a production's and a shadow's answer to one request are both in it or both not. Rows whose true
label is known are all kept.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.serving.log import Part

MOST = 20_000  # rows of the sample,
BYTES = 256 * 2**20  # and what they may hold
Key = tuple[str, int]
"""Of a row: the id of its request, and its place in it."""
Who = tuple[str, str]
"""Who answered: version and role."""


@dataclass
class Tally:
    """Rows of one version in one role, counted.

    Attributes:
        sure: Sum of the highest probabilities.
        ms: Sum of the times.
    """

    rows: int = 0
    sure: float = 0.0
    ms: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.rows += other.rows
        self.sure += other.sure
        self.ms += other.ms
        self.labels.update(other.labels)


@dataclass
class Asked:
    """All that was read.

    Attributes:
        days: What each version answered each day in each role.
        labels: Of each version, in the order of its probabilities.
        sample: Rows of `luodi.serving.log.SCHEMA` and "sure", the highest probability.
        labelled: All rows whose true label is known, likewise, with "truth".
    """

    days: dict[tuple[date, Who], Tally] = field(default_factory=dict)
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sample: pa.Table | None = None
    labelled: pa.Table | None = None

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.days.values())

    def by(self) -> dict[Who, Tally]:
        """Return what each version answered in each role."""
        found: dict[Who, Tally] = {}
        for (_, who), tally in sorted(self.days.items()):
            found.setdefault(who, Tally()).add(tally)
        return found

    def versions(self, role: str) -> list[str]:
        """Return the versions that answered in a role, those of most rows first."""
        found = {version: tally.rows for (version, one), tally in self.by().items() if one == role}
        return sorted(found, key=lambda version: (-found[version], version))


def read(parts: Iterable[Part], truths: Mapping[Key, str]) -> Asked:
    """Read the files of a log.

    Args:
        truths: True labels that are known.
    """
    found, kept, labelled = Asked(), list[pa.Table](), list[pa.Table]()
    below: int | None = None  # only such hashes are in the sample
    for part in parts:
        found.labels |= part.labels
        rows = part.rows.append_column("sure", pa.array(_sure(part.rows["probabilities"])))
        _count(found.days, rows)
        if truths:
            labelled.append(_with_truth(rows, truths))
        hashes = _hashes(rows["request"])
        rows = rows.append_column("hash", pa.array(hashes))
        kept.append(rows if below is None else rows.filter(pa.array(hashes < below)))
        if sum(map(len, kept)) > 2 * MOST or sum(one.nbytes for one in kept) > 2 * BYTES:
            kept, cut = _lowest(kept)
            below = below if cut is None else cut
    if kept:
        (sample,), _ = _lowest(kept)
        found.sample = sample.drop_columns(["hash"])
    if labelled:
        found.labelled = pa.concat_tables(labelled)
    return found


def _sure(probabilities: pa.ChunkedArray) -> NDArray[np.float32]:
    """The highest of each row's probabilities, float32 [rows]; versions of several numbers of classes may be there."""
    if not len(probabilities):
        return np.zeros(0, np.float32)
    lists = probabilities.combine_chunks()
    starts = np.cumsum(np.concatenate([[0], lists.value_lengths().to_numpy()[:-1]]))
    highest: NDArray[np.float32] = np.maximum.reduceat(lists.flatten().to_numpy(), starts)
    return highest


def _count(days: dict[tuple[date, Who], Tally], rows: pa.Table) -> None:
    rows = rows.append_column("day", pc.cast(rows["at"], pa.date32()))
    groups = rows.group_by(["day", "version", "role", "label"]).aggregate(
        [("sure", "sum"), ("ms", "sum"), ("label", "count")]
    )
    for one in groups.to_pylist():
        tally = days.setdefault((one["day"], (one["version"], one["role"])), Tally())
        tally.add(
            Tally(one["label_count"], one["sure_sum"], one["ms_sum"], Counter({one["label"]: one["label_count"]}))
        )


def _with_truth(rows: pa.Table, truths: Mapping[Key, str]) -> pa.Table:
    keys = zip(rows["request"].to_pylist(), rows["item"].to_pylist(), strict=True)
    found = pa.array([truths.get(key) for key in keys], pa.string())
    return rows.append_column("truth", found).filter(pc.is_valid(found))


def _hashes(requests: pa.ChunkedArray) -> NDArray[np.uint64]:
    names = requests.combine_chunks().dictionary_encode()
    found = [_hash(one) for one in names.dictionary.to_pylist()]
    hashes: NDArray[np.uint64] = np.array(found, np.uint64)[names.indices.to_numpy()]
    return hashes


def _hash(request: str) -> int:
    return int.from_bytes(hashlib.blake2b(request.encode(), digest_size=8).digest(), "big")


def _lowest(kept: list[pa.Table]) -> tuple[list[pa.Table], int | None]:
    """The requests of lowest hash, whole, as many as fit, and the hash of the first that does not; None if all do."""
    table = pa.concat_tables(kept).sort_by("hash")
    most = min(MOST, max(1, len(table) * BYTES // max(table.nbytes, 1)))
    if len(table) <= most:
        return [table], None
    hashes = table["hash"].to_numpy()
    below = int(hashes[most])
    if below == int(hashes[0]):  # one request alone is too large, and all there is
        below += 1
    return [table.slice(0, int((hashes < below).sum()))], below


def probabilities(rows: pa.Table, classes: int) -> NDArray[np.float32]:
    """Return the probabilities of rows of one version: float32 [rows, classes]."""
    lists: Any = rows["probabilities"].combine_chunks()
    found: NDArray[np.float32] = lists.flatten().to_numpy().reshape(-1, classes)
    return found
