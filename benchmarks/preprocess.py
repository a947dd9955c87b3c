"""Preprocess at scale, and its vectorized steps beside the same steps written row by row, in one run.

    python benchmarks/preprocess.py --rows 1000000

Rows are the reviews corpus with a running number at the end, so that none is a duplicate.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from luodi import config
from luodi.data import builtin_datasets, text
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent


def corpus(folder: Path, rows: int) -> pa.Table:
    """`rows` distinct rows of text, label, source."""
    (shard,) = builtin_datasets.fetch("reviews", folder)
    table = pq.read_table(shard)
    table = table.filter(pa.compute.greater(pa.compute.utf8_length(table["text"]), 0))
    picked = table.take(pa.array(np.random.default_rng(0).integers(0, table.num_rows, rows)))
    numbers = pa.array(np.arange(rows)).cast(pa.string())
    texts = pa.compute.binary_join_element_wise(picked["text"].combine_chunks(), numbers, " ")
    return picked.set_column(0, "text", texts)


def whole_stage(root: Path, table: pa.Table) -> None:
    """Time `luodi preprocess` as a process of its own."""
    paths = ModelPaths(root, "reviews")
    paths.clean.parent.mkdir(parents=True)
    pq.write_table(table, paths.clean)
    start = time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("luodi"), "preprocess", "reviews"], cwd=root, check=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"luodi preprocess: {table.num_rows / seconds:,.0f} rows/s, {seconds:.1f} s, peak memory {peak:.2f} GiB")


def clean_by_row(texts: list[str]) -> list[str]:
    """The normalisation of `text.clean` without entities and personal data: less work than what it is held against."""
    cleaned = []
    for raw in texts:
        bare = re.sub(r"<!--.*?-->|</?[A-Za-z][^<>]*>", " ", unicodedata.normalize("NFKC", raw))
        shown = (" " if unicodedata.category(c) == "Cc" else c for c in bare if unicodedata.category(c) != "Cf")
        cleaned.append(" ".join("".join(shown).split()))
    return cleaned


def encode_by_row(texts: list[str], length: int, buckets: int) -> Any:
    """Hashed 1- to 3-grams by Python's own loops and zlib's CRC."""
    import zlib

    matrix = np.zeros((len(texts), 3 * length - 3), np.int32)
    for row, whole in enumerate(texts):
        kept = whole[:length]
        grams = {kept[i : i + n] for n in (1, 2, 3) for i in range(len(kept) - n + 1)}
        matrix[row, : len(grams)] = sorted(1 + zlib.crc32(gram.encode()) % buckets for gram in grams)
    return matrix


def ratio(name: str, rows: int, fast: Callable[[], Any], slow: Callable[[], Any]) -> None:
    """Run both in turn, three times, and print the median ratio."""
    seconds = []
    for _ in range(3):
        pair = []
        for step in (fast, slow):
            start = time.perf_counter()
            step()
            pair.append(time.perf_counter() - start)
        seconds.append(pair)
    median = float(np.median([slow / fast for fast, slow in seconds]))
    speed = rows / float(np.median([fast for fast, _ in seconds]))
    print(f"{name}: {median:.1f} times the speed of row by row ({speed:,.0f} rows/s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    settings = config.load(ROOT / "params.yaml").models["reviews"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        table = corpus(root / "corpus", rows)
        whole_stage(root, table)
    sample = table["text"].combine_chunks().slice(0, 8192)
    cleaned = text.clean(sample)
    encoder = text.Encoder.fit(cleaned, settings.preprocess, settings.labels)
    listed, listed_clean = sample.to_pylist(), cleaned.to_pylist()
    ratio("clean", len(sample), lambda: text.clean(sample), lambda: clean_by_row(listed))
    ratio(
        "encode",
        len(sample),
        lambda: encoder.encode_clean(cleaned),
        lambda: encode_by_row(listed_clean, settings.preprocess.max_length, settings.preprocess.buckets),
    )


if __name__ == "__main__":
    main()
