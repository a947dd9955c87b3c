"""The newest rows, as `preprocess.split.newest` has it: a second test set, the nearest there is to tomorrow's rows.

They are those of the last days of the data, counted back from its newest row and not from the clock: the same data give
the same rows, whenever they are looked at. As newer rows come behind them they leave it, and go where the hash of
their content, or their group, has had them all along. So this is the one exception from "no row changes its split":
a row goes from "newest" to train, validation or test, once, and never back. No figure is the better for it. A version
was trained on rows that are older than its newest ones; those that are newest when it is champion are newer still, so
that it has seen none of them, and a challenger is never trained on what is newest when it is judged. That it may
be trained on rows that judged the champion is what happens to every row of train that comes later than a champion.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import quarantine
from luodi.checks.findings import Finding
from luodi.checks.quarantine import Checked
from luodi.config import ModelSettings
from luodi.data import splits
from luodi.data.shards import OF_GROUP

NONE = np.iinfo(np.int64).min
SECOND, DAY = timedelta(seconds=1), 86400
NEVER = 9999


def no_day(column: str) -> str:
    """Return the reason of rows without a readable day."""
    return f"{column} is no day such as 2026-01-31"


def hold_back(checked: Checked, settings: ModelSettings) -> Checked:
    """Return the rows with those held back too of which nobody knows how new they are."""
    column = settings.preprocess.split.column
    if column is None:
        return checked
    return quarantine.also_held(checked, no_day(column), _seconds(checked, column) == NONE)


def marked(checked: Checked, settings: ModelSettings) -> NDArray[np.bool_] | None:
    """Tell which clean rows are the newest, bool [rows]; None where the setting is off.

    Rows of a source that is the test or validation split stay in it.
    """
    split = settings.preprocess.split
    if split.column is None or split.days is None:
        return None
    second = _seconds(checked, split.column)
    last = second.max(initial=NONE)  # of a row that is held back too: one that is contradicted later takes no day away
    official = splits.rank(checked.table["source"], settings.preprocess) < len(splits.OFFICIAL)
    out = checked.table[quarantine.HELD].to_numpy() | (second == NONE) | official
    found: NDArray[np.bool_] = ~out & (second > max(last, NONE + split.days * DAY) - split.days * DAY)
    return found


def finding(checked: Checked, newest: NDArray[np.bool_], settings: ModelSettings) -> Finding:
    """Tell how many rows are the newest, and of which days; a warning where they are too few to judge by."""
    split, least = settings.preprocess.split, settings.gate.min_slice_rows
    assert split.column is not None
    of = _seconds(checked, split.column)[newest]
    days = [str(np.datetime64(int(one), "s"))[:-9] for one in (of.min(), of.max())] if len(of) else []  # any year
    return Finding(
        title="The newest rows are enough to judge by",
        severity="warning",
        passed=len(of) >= least,
        expected=f"{least:,} rows or more in the last {split.days:,} days by `{split.column}` (gate.min_slice_rows)",
        found=f"{len(of):,} row{'s' * (len(of) != 1)}" + f", {' to '.join(days)}" * bool(days),
        examples=(),
    )


def _seconds(checked: Checked, column: str) -> NDArray[np.int64]:
    """Seconds since 1970 of each row, NONE where its day cannot be read [rows]."""
    encoded = checked.table[OF_GROUP + column].combine_chunks().dictionary_encode()
    known = np.append(np.fromiter(_read(encoded.dictionary.to_pylist()), np.int64), NONE)
    found: NDArray[np.int64] = known[pc.fill_null(encoded.indices, -1).to_numpy()]  # the last, of null
    return found


def _read(days: Iterable[str]) -> Iterable[int]:
    """ISO 8601: a day, or a day and a time; in UTC where it names no time zone.

    The year 9999 stands for "never": taken for a day it would be the newest, and the last days those before it.
    """
    for day in days:
        try:
            moment = datetime.fromisoformat(day.strip())
            if moment.year == NEVER:
                raise ValueError(day)
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            yield (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // SECOND
        except ValueError:
            yield NONE
