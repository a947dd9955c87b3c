"""Which rows stand together: those that share an author, a patient, a content, or nearly that; and in which split.

Rows come one after the other, and the first of a group settles its split for good. A row that ties two groups of
different splits would move rows from one to the other: it is left out itself, and ties nothing. So no row that stands
ever moves as others come behind it, and each group lies in one split.

Copies are few; what a good part of a class resembles is a template, and a class is not to fall on one side for it. So a
group takes in `FULL` rows by resemblance alone, or `SHARE` of the rows of its class that came before if they are more,
and what resembles it further is tied to nothing by that: as all of this, it hangs on earlier rows alone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL = 20  # of four sets of texts three had no larger group of near-copies, and one of two of 21 that say "good, good"
SHARE = 0.05

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Of each row: the place of the first row of its group, int64 [n]; the index of its split, int8 [n].

    Both are -1 of a row that is in none: it ties groups of different splits, or was not to be looked at.
    """

    first: Places
    split: NDArray[np.int8]
    loose: NDArray[np.bool_]
    """Whether a row resembles a full group, which does not tie it [n]."""


def join(
    ties: Iterable[NDArray[Any]],
    links: Places,
    home: NDArray[np.int8],
    allowed: NDArray[np.bool_],
    rank: NDArray[np.int8],
    *,
    alike: Iterable[NDArray[Any]] = (),
    label: NDArray[Any] | None = None,
    full: int = FULL,
    share: float = SHARE,
) -> Groups:
    """Put rows into groups and groups into splits.

    Args:
        ties: Arrays [n] of numbers, of which equal ones tie rows together; those below 0 tie nothing.
        links: Rows and numbers, int64 [m, 2], of which equal ones tie rows to a group which is not full yet; a row may
            be there more than once.
        home: The split of each row if it is the first of its group, int8 [n]; a row of -1 is not looked at.
        allowed: Which splits a row may stand in, bool [n, splits].
        rank: Rows of a lower one count as earlier, int8 [n]; within a rank they come in their order.
        alike: Arrays as in `ties`, that tie as `links` do.
        label: A number for the class of each row [n]; None if there are none.
        full, share: Rows that a group takes in by `alike` and `links` alone, see above.
    """
    order = np.argsort(rank, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    looked_at = home[links[:, 0]] >= 0
    linked = place[links[looked_at, 0]], links[looked_at, 1]
    sure, near = ([np.where(home >= 0, codes, -1)[order] for codes in kind] for kind in (ties, alike))
    rows, tokens, ends, firm = _tied(sure, near, linked)
    first, split, sets = np.where(home[order] >= 0, np.arange(len(home)), -1), home[order], _Sets(firm)
    some = np.zeros(len(home)) if label is None else share * _before(label[order])
    room = np.maximum(full, some)[rows]
    start, found = 0, []
    for row, end, own, fits, full_at in zip(rows.tolist(), ends.tolist(), split[rows].tolist(),
                                            allowed[order][rows].tolist(), room.tolist(), strict=True):  # fmt: skip
        found.append(sets.add(row, tokens[start:end], own, fits, full_at))
        start = end
    split[rows] = found
    first[rows] = [sets.find(row) if one >= 0 else -1 for row, one in zip(rows.tolist(), found, strict=True)]
    answer = Groups(np.empty_like(first), np.empty_like(split), np.zeros(len(home), np.bool_))
    answer.first[order] = np.where(first >= 0, order[first], -1)
    answer.split[order] = split
    answer.loose[order[sets.loose]] = True
    return answer


def _before(label: NDArray[Any]) -> Places:
    """How many rows before each are of its class [n]."""
    order = np.argsort(label, kind="stable")
    found = np.empty(len(label), np.int64)
    found[order] = np.arange(len(label)) - np.searchsorted(label[order], label[order])
    return found


def _tied(
    ties: Sequence[NDArray[Any]], alike: Sequence[NDArray[Any]], linked: tuple[Places, Places]
) -> tuple[Places, list[int], Places, int]:
    """The rows that are tied to another, ascending; the ties of each, end to end; and where those of each row end.

    Last the number that is above those of the ties that tie to full groups too.
    """
    rows, tokens, above, firm = [], [], 0, 0
    found = [(np.flatnonzero(codes >= 0), codes[codes >= 0]) for codes in (*ties, *alike)]
    for place, (there, codes) in enumerate([*found, linked]):
        firm = above if place == len(ties) else firm
        ordered = np.sort(codes)
        several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        number = np.searchsorted(several, codes)
        shared = np.flatnonzero(np.append(several, -1)[number] == codes)
        rows.append(there[shared])
        tokens.append(number[shared] + above)
        above += len(several)
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    distinct, starts = np.unique(row[order], return_index=True)
    return distinct, np.concatenate(tokens)[order].tolist(), np.append(starts[1:], len(row))[: len(distinct)], firm


class _Sets:
    """Sets of rows, each named after its first row; the split of each, and the set that each token belongs to.

    Tokens below `firm` tie to full sets too.
    """

    def __init__(self, firm: int) -> None:
        self._firm = firm
        self._above: dict[int, int] = {}
        self._split: dict[int, int] = {}
        self._of_token: dict[int, int] = {}
        self._taken: Counter[int] = Counter()
        self.loose: list[int] = []

    def find(self, row: int) -> int:
        """Return the first row of the set of a row."""
        top = row
        while (above := self._above[top]) != top:
            top = above
        while row != top:  # the next walk is short
            self._above[row], row = top, self._above[row]
        return top

    def add(self, row: int, tokens: list[int], home: int, fits: list[bool], room: float) -> int:
        """Add a row to the one set of all its tokens and return its split; -1 if that cannot be.

        Sets that took in as many rows as there is `room` are full.
        """
        met = {token: self.find(self._of_token[token]) for token in tokens if token in self._of_token}
        firm = {top for token, top in met.items() if token < self._firm}
        full = {top for top in met.values() if top not in firm and self._taken[top] >= room}
        if full:
            self.loose.append(row)
        tokens, tops = [token for token in tokens if met.get(token) not in full], {*met.values()} - full
        splits = {self._split[top] for top in tops} or {home}
        split = splits.pop()
        if splits or not fits[split]:
            return -1
        eldest = min(tops, default=row)
        self._taken[eldest] = sum(self._taken[top] for top in tops) + (not firm)
        self._above |= dict.fromkeys([*tops, row], eldest)
        self._split.setdefault(eldest, split)
        self._of_token |= dict.fromkeys(tokens, eldest)
        return split
