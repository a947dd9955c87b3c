"""Counts behind the charts of the validation report."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luodi.checks.quarantine import HELD

SOURCES = 12  # the largest ones are told apart in the report
OTHER = "(unknown or missing)"
RENARD = (10, 12.5, 16, 20, 25, 31.5, 40, 50, 63, 80)


@dataclass(frozen=True)
class Chart:
    """A histogram of a column: `edges[i] <= value < edges[i + 1]` is bar i; the last bar has its upper edge too."""

    column: str
    edges: tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """Some rows of the batch: the counts of each chart and its column's median, and counts of labels."""

    name: str
    rows: int
    held: int
    medians: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """The last label stands for unknown ones where there are any."""

    charts: tuple[Chart, ...]
    labels: tuple[str, ...]
    whole: Part
    sources: tuple[Part, ...]


def profile(measured: pa.Table, charts: tuple[Chart, ...], labels: tuple[str, ...]) -> Profile:
    """Count the values of each chart and the labels of a measured table, over all rows and for each source."""
    measured = measured.select(["source", "label", HELD, *(chart.column for chart in charts)])  # and no copy of texts
    known = pc.is_in(measured["label"], value_set=pa.array(labels, pa.string()))
    names = labels if pc.all(known).as_py() else (*labels, OTHER)
    parts = _by_source(measured)
    return Profile(
        charts=charts,
        labels=names,
        whole=_part("all", measured, charts, names),
        sources=tuple(_part(name, rows, charts, names) for name, rows in parts),
    )


def up_to(largest: int) -> tuple[int, ...]:
    """0, 1, 2, 3, 4, 5, 6, 8, 10 and on by about a quarter each (Renard's series R10), past `largest`."""
    series = sorted({round(step * 10**power) for power in range(-1, 10) for step in RENARD})
    return (0, *series[: int(np.searchsorted(series, largest, side="right")) + 1])


def _by_source(measured: pa.Table) -> list[tuple[str, pa.Table]]:
    """The rows of each of the largest sources, by size and name, and of the others together."""
    source = pc.fill_null(measured["source"], "(missing)")
    counts = pc.value_counts(source).to_pylist()
    names = [one["values"] for one in sorted(counts, key=lambda one: (-one["counts"], one["values"]))]
    parts = [(name, measured.filter(pc.equal(source, name))) for name in names[:SOURCES]]
    if names[SOURCES:]:
        rest = pc.invert(pc.is_in(source, value_set=pa.array(names[:SOURCES])))
        parts.append((f"{len(names) - SOURCES} other sources", measured.filter(rest)))
    return parts


def _part(name: str, rows: pa.Table, charts: tuple[Chart, ...], labels: tuple[str, ...]) -> Part:
    values = [rows[chart.column].drop_null().to_numpy() for chart in charts]
    return Part(
        name=name,
        rows=rows.num_rows,
        held=pc.sum(rows[HELD]).as_py() or 0,
        medians=tuple(float(np.median(found)) if len(found) else 0.0 for found in values),
        counts=tuple(
            tuple(np.histogram(found, chart.edges)[0].tolist()) for chart, found in zip(charts, values, strict=True)
        ),
        labels=_count(rows["label"], labels),
    )


def _count(column: Any, labels: tuple[str, ...]) -> tuple[int, ...]:
    places = pc.index_in(column, value_set=pa.array(labels, pa.string()))
    if labels[-1] == OTHER:
        places = pc.fill_null(places, len(labels) - 1)
    return tuple(np.bincount(places.to_numpy(), minlength=len(labels)).tolist())
