"""Columns that lie beside the texts of a table, counted by the labels of their rows while these go by.

A column may tell the label alone, such as a rating beside a review, whether it is kept or not: see
`luodi.checks.leaking_columns`. What is held of a column is bounded: one of many values, such as an id, is looked at no
further.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.data.columns import Wanted
from luodi.data.tables import Record, Table, plain

PAIRS = 5_000  # of a value and a label, of a column, at most
COLUMNS = 20  # of a table that are looked at, from the first one on


class Beside:
    """Rows of each value of a column, by their label; of all tables that become one model."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[int, str]]] = {}
        self._left: set[str] = set()

    def names(self, table: Table, chosen: Wanted) -> list[str]:
        """Return the columns of a table that are looked at."""
        others = [name for name in plain(table) if name and name not in (chosen.item, chosen.label)]
        return others[:COLUMNS]

    def add(self, row: Record, names: list[str], label: str) -> None:
        """Count a row."""
        self.add_all({name: [row.get(name)] for name in names}, [label])

    def add_all(self, columns: Mapping[str, Sequence[Any]], labels: Sequence[str | None]) -> None:
        """Count the rows that have a label."""
        for name, values in columns.items():
            if name not in self._left:
                self._add(name, values, labels)

    def _add(self, name: str, values: Sequence[Any], labels: Sequence[str | None]) -> None:
        counts = self._counts.setdefault(name, Counter())
        try:
            pairs = Counter(zip(values, labels, strict=True))
        except TypeError:  # a list or an object of JSON
            counts.clear()
            self._left.add(name)
            return
        for (value, label), count in pairs.items():
            if label is not None:
                counts[hash(None if value == "" else value), label] += count
        if len(counts) > PAIRS:
            counts.clear()
            self._left.add(name)

    def counts(self) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield of each column that was looked at whole its name, its pairs of a value and a label, int64 [2, pairs],
        a number for each, and how many rows have them, int64 [pairs]."""
        for name, counts in self._counts.items():
            if counts:
                numbers = [np.unique(part, return_inverse=True)[1] for part in zip(*counts, strict=True)]
                yield name, np.stack(numbers), np.array(list(counts.values()))
