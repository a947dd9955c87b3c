"""Which rows a classifier gets wrong: the surest of its mistakes, and the classes that it takes for one another."""

from dataclasses import dataclass

import numpy as np

from luodi.scoring.scored import Ints, Scored

EACH = 5
"""Mistakes of one pair of classes that are shown before those of others."""


@dataclass(frozen=True)
class Pair:
    """Rows of one class that are taken for another; `truth` and `predicted` are places among the labels."""

    truth: int
    predicted: int
    rows: int
    places: Ints
    """Of the surest of them, at most `EACH`."""


def ranked(data: Scored) -> Ints:
    """Return the places of all mistakes, int64 [n], the most confident first; of equal ones the first rows."""
    wrong = np.flatnonzero(~data.correct)
    return wrong[np.argsort(-data.confidence[wrong], kind="stable")]


def surest(data: Scored, limit: int) -> Ints:
    """Return the places of the most confident mistakes, at most `limit`, of many pairs of classes where there are many.

    A pair gives `EACH` before any gives more: else all that one reads is one pair.
    """
    places = ranked(data)
    chosen = np.sort(np.argsort(_turns(_codes(data)[places]) // EACH, kind="stable")[:limit])
    return places[chosen]


def pairs(data: Scored, limit: int) -> list[Pair]:
    """Return the pairs of classes that are confused most, at most `limit`, that of most rows first."""
    places = ranked(data)
    codes = _codes(data)[places]
    known, counts = np.unique(codes, return_counts=True)
    return [
        Pair(*divmod(int(known[one]), data.classes), int(counts[one]), places[codes == known[one]][:EACH])
        for one in np.argsort(-counts, kind="stable")[:limit]
    ]


def _codes(data: Scored) -> Ints:
    """Truth and prediction of every row in one number."""
    return data.truth.astype(np.int64) * data.classes + data.predicted


def _turns(codes: Ints) -> Ints:
    """Count, for each element, the equal ones before it."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    within = np.arange(len(codes)) - np.repeat(starts, np.diff(np.append(starts, len(codes))))
    turns = np.empty(len(codes), np.int64)
    turns[order] = within
    return turns
