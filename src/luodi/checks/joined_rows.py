"""Which rows of a batch stand together, as `preprocess.split` has it: none is judged by what resembles it."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import quarantine
from luodi.checks.findings import EXAMPLES, Finding, examples, in_rows
from luodi.checks.modality import Measures
from luodi.checks.quarantine import Checked
from luodi.config import ModelSettings
from luodi.data import groups, splits
from luodi.data.groups import Groups
from luodi.data.shards import OF_GROUP, ORIGIN
from luodi.errors import MissingColumn
from luodi.terminal import shown

CHUNK = 8192  # keys that are Python's own at a time
APART = "row ties groups of different splits"
MOST = 0.5  # of the rows, without which those that are left are no sample
GIVEN = (
    "; where the data has its own splits, leave out preprocess.split.by, or test_source and validation_source, "
    "for its groups lie in several of them"
)


def asked(settings: ModelSettings) -> bool:
    """Whether rows stand together by more than what each holds."""
    split_by = settings.preprocess.split
    return bool(split_by.by or getattr(split_by, "pattern", None) or split_by.near_copies == "join")


def groups_of(checked: Checked, settings: ModelSettings, kind: Measures) -> Groups | None:
    """Return the groups of all rows, and the split of each; None where rows are split by what they hold alone.

    A row that is held back, for whatever but its label's disagreement with another row, is in none: it was in none
    when it came, and will be.

    Raises:
        MissingColumn: No row has a path, for `preprocess.split.pattern`.
    """
    if not asked(settings):
        return None
    split_by = settings.preprocess.split
    columns = [_value(checked.table[OF_GROUP + name]) for name in split_by.by]
    if pattern := getattr(split_by, "pattern", None):
        columns.append(_matches(checked.table, pattern))
    near = split_by.near_copies == "join"
    lone = [reason for reason in checked.reasons if reason != quarantine.contradiction(kind.ITEM)]
    looked_at = ~quarantine.held(checked.table.select(lone))
    rank, allowed = _official(checked.table["source"], settings)
    home = _home([*columns, checked.content], settings)
    chosen = rank < len(splits.OFFICIAL)
    home[chosen] = allowed[chosen].argmax(axis=1)
    home[~looked_at] = -1
    ties = [*map(quarantine.codes, columns), checked.codes]
    alike, links = kind.alike(checked) if near else ([], np.empty((0, 2), np.int64))
    label = quarantine.codes(checked.table["label"]) if near else None
    return groups.join(ties, links, home, allowed, rank, alike=alike, label=label)


def hold_back(checked: Checked, found: Groups) -> Checked:
    """Return the rows with those held back too that tie groups of different splits."""
    apart = (found.split < 0) & ~checked.table[quarantine.HELD].to_numpy()
    return replace(quarantine.also_held(checked, APART, apart), groups=found)


def finding(checked: Checked, item: str) -> Finding:
    """Tell of the rows that tie groups of different splits: a warning, but where most rows do."""
    places = np.flatnonzero(checked.table[APART].to_numpy())
    most = len(places) > MOST * checked.table.num_rows
    return Finding(
        title="Groups stay in their splits",
        severity="critical" if most else "warning",
        passed=not len(places),
        expected="no row ties rows that stand in different splits already" + GIVEN * most,
        found=in_rows(len(places), checked.table.num_rows) + ", held back" * bool(len(places)),
        examples=examples(checked.table, places[:EXAMPLES], item),
    )


def of_classes(checked: Checked, settings: ModelSettings) -> Finding:
    """Tell of classes that have no row in train, or none in test, for their rows are of few groups; a warning."""
    assert checked.groups is not None
    out = checked.table[quarantine.HELD].to_numpy()
    label = pc.fill_null(pc.index_in(checked.table["label"], pa.array(settings.labels)), -1).to_numpy()
    used = ~out & (label >= 0) & (checked.groups.split >= 0)
    rows = np.zeros((len(settings.labels), len(splits.NAMES)), np.int64)
    np.add.at(rows, (label[used], checked.groups.split[used]), 1)
    of_class = np.unique(np.stack([label[used], checked.groups.first[used]]), axis=1)[0]
    found = np.bincount(of_class, minlength=len(rows))
    shares = settings.preprocess.shares
    wanted = {"train": shares.train} | ({"test": shares.test} if settings.preprocess.test_source is None else {})
    told = [
        f"class {shown(name, 40)}: none of its {of.sum():,} rows in {split}, of {count:,} group{'s' * (count != 1)}"
        for name, of, count in zip(settings.labels, rows, found.tolist(), strict=True)
        for split, share in wanted.items()
        if share * of.sum() >= 1 and of[splits.NAMES.index(split)] == 0
    ]
    more = [f"and {len(told) - EXAMPLES} more"] if len(told) > EXAMPLES else []
    return Finding(
        title="Groups leave each class rows to learn from and to be tested by",
        severity="warning",
        passed=not told,
        expected="rows of each class in train and in test: a class of several groups, by preprocess.split",
        found="; ".join(told[:EXAMPLES] + more) or "all have them",
        examples=(),
    )


def counts(checked: Checked) -> dict[str, int]:
    """Return the number of groups of clean rows, the rows of the largest, how many rows were held back for them, and
    how many resemble a group that was full.

    Nothing where rows are split by what they hold alone.
    """
    if checked.groups is None:
        return {}
    clean = checked.groups.first[~checked.table[quarantine.HELD].to_numpy()]
    sizes = np.bincount(clean)
    return {
        "groups": int((sizes > 0).sum()),
        "largest_group": int(sizes.max(initial=0)),
        "tying_splits": int(checked.table[APART].to_numpy().sum()),
        "of_templates": int((checked.groups.loose & ~checked.table[quarantine.HELD].to_numpy()).sum()),
    }


def columns(checked: Checked, newest: NDArray[np.bool_] | None = None) -> dict[str, pa.Array]:
    """Return the columns that say which rows stand together, and where; none where what a row holds alone says it.

    Args:
        newest: Rows that stand in the split of the newest, whatever their group [rows].
    """
    group, split = quarantine.PLACED
    found, place = {}, np.full(checked.table.num_rows, -1)
    if checked.groups is not None:
        found, place = {group: pa.array(checked.groups.first)}, checked.groups.split.astype(np.int64)
    if newest is not None:
        place = np.where(newest, splits.ALL.index(splits.NEWEST), place)
    if found or newest is not None:
        found[split] = pa.array(np.array([*splits.ALL, ""])[place].tolist())
    return found


def _value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column that tie; an empty one is none."""
    return pc.if_else(pc.equal(column, ""), None, column)


def _matches(table: pa.Table, pattern: str) -> pa.ChunkedArray:
    if ORIGIN not in table.column_names:
        raise MissingColumn(
            "preprocess.split.pattern looks at the path that an image had when it was added, and no shard has the "
            f"column `{ORIGIN}` that holds it: add the images with `luodi add`, or take preprocess.split.pattern out"
        )
    found = [re.search(pattern, path or "") for path in table[ORIGIN].to_pylist()]
    return pa.chunked_array([pa.array([one and (one[1] or None) for one in found], pa.string())])


def _official(source: pa.ChunkedArray, settings: ModelSettings) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """The rank of each row, as `splits.rank` has it, and the splits that it may stand in, bool [rows, splits]."""
    split_by = settings.preprocess
    rank = splits.rank(source, split_by)
    shares = [split_by.shares.train, split_by.shares.validation, split_by.shares.test]
    allowed = np.tile(np.array(shares) > 0, (len(rank), 1))
    for place, name in enumerate(splits.OFFICIAL):
        allowed[rank == place] = [one == name for one in splits.NAMES]
    return rank, allowed


def _home(keys: list[pa.ChunkedArray], settings: ModelSettings) -> NDArray[np.int8]:
    """The split of each row by the hash of the first of its keys that it has."""
    key = pc.coalesce(*(column.cast(pa.large_binary()) for column in keys))
    parts = [part.slice(start, CHUNK) for part in pc.fill_null(key, b"").chunks for start in range(0, len(part), CHUNK)]
    found = [splits.digests(part, settings.preprocess.seed) for part in parts]
    return splits.assign(np.concatenate([np.empty(0, np.uint64), *found]), settings.preprocess.shares)
