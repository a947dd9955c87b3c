"""Which rows stand, where one may come again to correct what came before; the others stay in the shards, as history.

Shards are never written again, so that a correction is a row that comes later. Which rows it takes the place of is told
by all of them together, the same whatever file brought them: of rows of one id the latest revision stands; a shard
written by `luodi ingest --corrects` corrects the labels of what came before it; what a person took out is out; and of
two labels that are left, `validate.contradictions` says which counts.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.config.fields import Contradictions
from luodi.data import arrivals, shards
from luodi.data.shards import OF_GROUP

Places = NDArray[np.int64]
ID, REVISION = "id", "revision"
DIGEST = 8  # bytes
NONE = -np.inf  # a revision that is no number and no moment: the order of arrival tells


@dataclass(frozen=True)
class Came:
    """All rows, in the order in which they came.

    Attributes:
        item: A number for what each holds, see `digest` [n].
        label: The place of its label among those of the model, -1 for one that is none: it is no opinion [n].
        id: A number for its id; 0 is none [n].
        revision: Of equal ids the highest stands, of these the last [n].
        corrects: Whether it corrects the label of what came before, bool [n].
        out: Whether a person took it out, bool [n]; what it took the place of does not come back.
    """

    item: NDArray[np.uint64]
    label: NDArray[np.int32]
    id: NDArray[np.uint64]
    revision: NDArray[np.float64]
    corrects: NDArray[np.bool_]
    out: NDArray[np.bool_]


def standing(folder: Path, modality: str, labels: Sequence[str], rule: Contradictions) -> NDArray[np.bool_] | None:
    """Tell which rows of a folder of shards stand, bool [rows]; None where all do.

    Args:
        modality: Of the rows; images are equal where their files are.
        labels: Of the model.
        rule: The setting `validate.contradictions`.

    Raises:
        DataError: As `shards.parts`.
    """
    named = [name for name in shards.kept(folder, modality) if name in (ID, REVISION)]
    if rule == "drop" and not (ID in named or shards.correcting(folder) or arrivals.out(folder)):
        return None
    found = stand(_read(folder, modality, labels, named), rule)
    return None if found.all() else found


def stand(came: Came, rule: Contradictions) -> NDArray[np.bool_]:
    """Tell which rows stand, bool [n]."""
    order = np.lexsort((came.revision,))  # stable: of equal revisions in the order of arrival
    own, place = came.id[order], np.arange(len(order))
    found: NDArray[np.bool_] = (own == 0) | (place == _last(own, np.ones(len(own), np.bool_)))
    opinion = np.flatnonzero(found & (came.label[order] >= 0) & (came.item[order] != 0))
    item, label = came.item[order][opinion], came.label[order][opinion]
    corrects = np.ones(len(opinion), np.bool_) if rule == "newest" else came.corrects[order][opinion]
    left = _corrected(item, label, corrects) & ~came.out[order][opinion]
    if rule == "vote":
        left[left] = _elected(item[left], label[left])
    found[opinion] = left
    found &= ~came.out[order]
    stands = np.empty_like(found)
    stands[order] = found
    return stands


def marked(part: pa.Table, places: Mapping[str, set[int]]) -> NDArray[np.bool_]:
    """Tell which rows of a part that `shards.parts` gave are at `places`, rows by their shard, bool [rows]."""
    if places.keys().isdisjoint(part["shard"].unique().to_pylist()):
        return np.zeros(len(part), np.bool_)
    rows = zip(part["shard"].to_pylist(), part["row"].to_pylist(), strict=True)
    return np.fromiter((row in places.get(shard, ()) for shard, row in rows), np.bool_)


def digest(item: Any) -> int:
    """Return a 64-bit number for what a row holds, its text or its bytes, or for an id; none is 0."""
    if item is None:
        return 0
    content = item.encode("utf-8", "replace") if isinstance(item, str) else item
    return int.from_bytes(hashlib.blake2b(content, digest_size=DIGEST).digest(), "big") or 1


def digests(items: Iterable[Any]) -> NDArray[np.uint64]:
    """Return the `digest` of each."""
    texts, made = [one.encode("utf-8", "replace") if isinstance(one, str) else one for one in items], hashlib.blake2b
    none = bytes(DIGEST)
    joined = b"".join([none if one is None else made(one, digest_size=DIGEST).digest() for one in texts])
    found = np.frombuffer(joined, ">u8").astype(np.uint64)
    found[(found == 0) & np.array([one is not None for one in texts], np.bool_)] = 1
    return found


def moments(revisions: Iterable[str | None]) -> Iterator[float]:
    """Yield each revision as a number: itself, or of an ISO 8601 moment (UTC where it has no zone) its seconds."""
    for one in revisions:
        try:
            yield _finite(float(one or ""))
        except ValueError:
            yield _moment(one or "")


def _finite(number: float) -> float:
    return number if np.isfinite(number) else NONE


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return NONE


def _read(folder: Path, modality: str, labels: Sequence[str], named: Sequence[str]) -> Came:
    correcting, out = shards.correcting(folder), arrivals.out(folder)
    found: list[tuple[NDArray[Any], ...]] = []
    for part in shards.parts(folder, modality, named):
        none = pa.nulls(len(part), pa.string())
        own, revision = (part[OF_GROUP + name] if name in named else none for name in (ID, REVISION))
        label = pc.fill_null(pc.index_in(part["label"], pa.array(labels, pa.string())), -1)
        corrects = pc.is_in(part["shard"], pa.array([*correcting], pa.string()))
        found.append((
            digests(part[modality].to_pylist()),
            label.to_numpy(),
            digests(one or None for one in own.to_pylist()),
            np.fromiter(moments(revision.to_pylist()), np.float64),
            corrects.to_numpy(),
            marked(part, out),
        ))  # fmt: skip
    return Came(*map(np.concatenate, zip(*found, strict=True)))


def _corrected(item: NDArray[np.uint64], label: NDArray[np.int32], corrects: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of rows of one item, those up to the last that its last correction contradicts do not stand."""
    place = np.arange(len(item))
    by = _last(item, corrects)
    contradicted = (place < by) & (label != label[by])
    stands: NDArray[np.bool_] = place > _last(item, contradicted)
    return stands


def _last(item: NDArray[np.uint64], marked: NDArray[np.bool_]) -> Places:
    """The place of the last row of the same item that is marked, -1 if there is none [n]."""
    distinct, number = np.unique(item, return_inverse=True)
    found = np.full(len(distinct), -1)
    found[number[marked]] = np.flatnonzero(marked)  # the last that is written stays
    last: Places = found[number]
    return last


def _elected(item: NDArray[np.uint64], label: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Of rows of one item, those of the label of most of them stand; all do where two labels have most."""
    _, group = np.unique(item, return_inverse=True)
    several = int(label.max(initial=0)) + 1
    ballots, ballot, votes = np.unique(group * several + label, return_inverse=True, return_counts=True)
    of = ballots // several
    most = np.zeros(int(of.max(initial=-1)) + 1, np.int64)
    np.maximum.at(most, of, votes)
    winners = np.bincount(of[votes == most[of]], minlength=len(most))
    stands: NDArray[np.bool_] = (votes[ballot] == most[group]) | (winners[group] > 1)
    return stands
