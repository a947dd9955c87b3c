"""preprocess: clean, drop duplicates and contradictions, split by content hash, fit the encoder, measure nearness.

What is clean goes to a file, which is read again for all that is made of it: memory holds a few bytes a row.
"""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config
from luodi.checks import nearest
from luodi.checks.nearest import Places
from luodi.data import clean_rows, modality, splits
from luodi.data.clean_rows import Clean
from luodi.data.modality import Encoder
from luodi.files import replacing, write_facts, write_json, write_text
from luodi.project.paths import ModelPaths
from luodi.report import page
from luodi.system import progress

GROUP = 2**17, 2**27  # rows and bytes of a row group of rows.parquet, which memory holds
SOURCES = 20  # counted by name in the summary
SHOWN = 10  # rows of the samples in the report


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Turn clean.parquet into rows.parquet, the encoder, a summary and the report.

    Raises:
        ArtifactError: validate has not run.
        DataError: A split would be empty.
    """
    kind = modality.of(settings.modality)
    with clean_rows.opened(paths.clean) as file, tempfile.TemporaryDirectory(dir=paths.artifacts) as folder:
        path = Path(folder) / "clean.arrow"
        marks = clean_rows.clean(file, path, settings)
        split, dropped = clean_rows.select(marks, settings)
        rows = Clean(path, marks.label, split)
        with ThreadPoolExecutor(2) as beside:  # Parquet compresses while the encoder learns
            sources = beside.submit(_write_rows, paths.rows, rows)
            near = beside.submit(_nearest, rows, settings.modality)
            many = min(len(rows.labels("train")), clean_rows.LEARNED)
            train = progress.steps("learning tokens", rows.learned(), many, len)
            encoder = kind.fit_encoder(train, settings.preprocess, settings.labels)
        shown, pairs = _samples(rows), _pairs(rows, near.result(), settings)
    _write_table(paths.nearest, near.result())
    write_json(paths.encoder, encoder.as_json())
    summary = summarise(rows, sources.result(), dropped, settings.labels)
    summary["nearest"] = nearest.counts(near.result(), nearest.of(settings.modality).LEVELS)
    write_facts(paths.preprocess_summary, summary)
    write_text(paths.preprocess_report, report(paths.model, shown, summary, encoder, settings, pairs=pairs))
    print(
        f"preprocess: {len(split):,} rows in, {summary['rows']:,} kept; dropped "
        + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()),
        flush=True,
    )


def summarise(rows: Clean, sources: Counter[str], dropped: dict[str, int], labels: tuple[str, ...]) -> dict[str, Any]:
    """Counts of rows kept by split and label, of rows kept by source (the largest), and of rows dropped by reason."""
    counts = {name: np.bincount(rows.labels(name), minlength=len(labels)).tolist() for name in splits.ALL}
    if not sum(counts[splits.NEWEST]):
        del counts[splits.NEWEST]
    kept = {name: dict(zip(labels, count, strict=True)) for name, count in counts.items()}
    largest = dict(sources.most_common(SOURCES))
    return {"kept": kept, "sources": largest, "dropped": dropped, "rows": int((rows.split != clean_rows.DROPPED).sum())}


def report(
    model: str,
    shown: tuple[pa.Array, NDArray[np.int32]],
    summary: dict[str, Any],
    encoder: Encoder,
    settings: config.ModelSettings,
    *,
    pairs: list[dict[str, Any]],
) -> str:
    """Return the report page; `shown` are a few train rows, clean, and their labels, `pairs` see `_pairs`."""
    items, label = shown
    rng = np.random.default_rng(settings.preprocess.seed)
    samples = modality.of(settings.modality).samples(items, settings.preprocess, rng)
    return page.render(
        f"preprocess_{settings.modality}",
        model=model,
        summary=summary,
        encoder=encoder.as_json() | {"shape": encoder.shape, "dtype": encoder.dtype},
        config=settings,
        labels=settings.labels,
        learned=clean_rows.LEARNED,
        names=[settings.labels[one] for one in label],
        pairs=pairs,
        meaning=nearest.of(settings.modality).MEANING,
        samples={name: page.data_uri(one) if isinstance(one, bytes) else one for name, one in samples.items()},
    )


def _samples(rows: Clean) -> tuple[pa.Array, NDArray[np.int32]]:
    """A few train rows, and their labels."""
    chosen = splits.of_each(rows.labels("train"), SHOWN)
    return rows.at("train", chosen).column(0).combine_chunks(), rows.labels("train")[chosen]


def _nearest(rows: Clean, modality: str) -> pa.Table:
    """See `nearest.table`."""
    kind, test = nearest.of(modality), nearest.looked_at(len(rows.labels("test")))

    def at(split: str, places: Places) -> pa.Array:
        return rows.at(split, places).column(0).combine_chunks()

    found = kind.nearest(at("test", test), lambda: rows.items("train"), lambda places: at("train", places))
    return nearest.table(test, *found, kind.LEVELS)


def _pairs(rows: Clean, found: pa.Table, settings: config.ModelSettings) -> list[dict[str, Any]]:
    """The nearest pairs: similarity, and of the test row and the train row the item, its label and where it is from."""
    worst = nearest.worst(found)
    shown = [
        rows.at(split, np.array([one[split] for one in worst], np.int64)).to_pylist() for split in ("test", "train")
    ]
    return [
        {"similarity": pair["similarity"], "rows": [
            {"item": page.data_uri(item) if isinstance(item := row[settings.modality], bytes) else item,
             "label": settings.labels[row["label"]], "where": row.get("origin") or row["source"]} for row in both]}
        for pair, *both in zip(worst, *shown, strict=True)
    ]  # fmt: skip


def _write_rows(path: Path, rows: Clean) -> Counter[str]:
    """Write the rows kept, and count them by source."""
    sources: Counter[str] = Counter()
    with replacing(path) as temporary, ExitStack() as stack:
        writer = None
        for table in clean_rows.joined(rows.kept(), *GROUP):
            writer = writer or stack.enter_context(
                pq.ParquetWriter(temporary, table.schema, compression="zstd", store_schema=False)
            )
            writer.write_table(table)
            sources.update(table["source"].to_pylist())
    return sources


def _write_table(path: Path, table: pa.Table) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)
