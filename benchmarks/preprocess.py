"""Preprocess at scale beside a bare pass of pyarrow, near-copies, steps beside the same row by row, and predictions.

    python benchmarks/preprocess.py --rows 1000000

Rows are the reviews corpus with a running number at the end, so that none is a duplicate.
"""

import argparse
import re
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
import pyarrow.compute as pc
import pyarrow.parquet as pq

from luodi import config
from luodi.checks import joined_rows, modality
from luodi.checks.text import measures
from luodi.data import builtin_datasets, split_rows, text
from luodi.linear import text as linear
from luodi.project.paths import ModelPaths
from luodi.scoring import inference

ROOT = Path(__file__).resolve().parent.parent


def corpus(folder: Path, rows: int) -> pa.Table:
    """`rows` distinct rows of text, label, source."""
    (shard,) = builtin_datasets.fetch("reviews", folder)
    table = pq.read_table(shard)
    table = table.filter(pc.greater(pc.utf8_length(table["text"]), 0))
    picked = table.take(pa.array(np.random.default_rng(0).integers(0, table.num_rows, rows)))
    numbers = pa.array(np.arange(rows)).cast(pa.string())
    texts = pc.binary_join_element_wise(picked["text"].combine_chunks(), numbers, " ")
    return picked.set_column(0, "text", texts)


BARE = """\
import sys
import pyarrow.compute as pc
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
table = table.set_column(0, "text", pc.utf8_normalize(table["text"], form="NFKC"))
pq.write_table(table, sys.argv[1] + ".bare", compression="zstd")
"""


# A process starts with the memory of the one that it was forked from as its peak: this small one lies between.
MEASURE = """\
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
print("\\n", os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def whole_stage(root: Path, table: pa.Table) -> None:
    """Time `luodi preprocess`, and beside it the least that Arrow does to the same file, as processes of their own."""
    paths = ModelPaths(root, "reviews")
    paths.clean.parent.mkdir(parents=True)
    pq.write_table(table, paths.clean, row_group_size=4096)  # as validate does
    luodi = Path(sys.executable).with_name("luodi")
    timed("pyarrow reads, normalises, writes", [sys.executable, "-c", BARE, paths.clean], root, table.num_rows)
    timed("luodi preprocess", [luodi, "preprocess", "reviews"], root, table.num_rows)


def timed(name: str, command: list[str | Path], cwd: Path, rows: int) -> None:
    """Run a command, and print its speed, its processor time and its peak memory."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], cwd=cwd, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - start
    said, _, figures = done.stdout.decode().rstrip().rpartition("\n")
    code, busy, peak = map(float, figures.split())
    print(said.strip())
    if code:
        sys.exit(f"{name} ended with {code:.0f}")
    print(
        f"{name}: {rows / seconds:,.0f} rows/s, {seconds:.1f} s, {1e6 * busy / rows:.2f} microseconds of processor a "
        f"row, peak memory {peak / 2**20:.2f} GiB",
        flush=True,
    )


def near_copies(table: pa.Table, settings: config.TextSettings) -> None:
    """Print what `preprocess.split.near_copies: join` takes in `luodi validate`: here every row has near-copies."""
    rows = table.num_rows
    table = table.append_column("shard", pa.repeat("a", rows)).append_column("row", pa.array(np.arange(rows)))
    split = settings.preprocess.split.model_copy(update={"near_copies": "join"})
    block = settings.model_copy(update={"preprocess": settings.preprocess.model_copy(update={"split": split})})
    checked = measures.measure([table], settings)
    start = time.process_time()
    found = joined_rows.groups_of(checked, block, modality.measures("text"))
    seconds, groups = time.process_time() - start, len(np.unique(found.first)) if found else 0
    print(
        f"near-copies joined: {1e6 * seconds / rows:.1f} microseconds of processor a row; {groups:,} groups", flush=True
    )


def predictions(table: pa.Table, encoder: text.Encoder, settings: config.ModelSettings) -> None:
    """Time a linear model on raw texts, in process: titles one at a time, and a thousand reviews at once."""
    items, labels = table["text"].to_pylist(), pc.index_in(table["label"], pa.array(settings.labels)).to_numpy()
    rows = split_rows.Rows(text.clean_list(items), labels.astype(np.int32), [])
    own = linear.encoder_for(encoder, rows)
    model = linear.fit(own, rows, rows, settings.baseline).judged
    classifier = inference.Classifier(own, inference.session(model.SerializeToString()))
    times = []
    for item in items:
        start = time.perf_counter()
        classifier.probabilities([item[:20]])
        times.append(1000 * (time.perf_counter() - start))
    print(f"one text of 20 characters: p50 {np.quantile(times, 0.5):.3f} ms, p99 {np.quantile(times, 0.99):.3f} ms")
    start = time.process_time()
    classifier.probabilities(items[:1000])
    print(f"1,000 texts: {1000 * (time.process_time() - start):.1f} microseconds of processor a text")


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
        for name in ("params.yaml", "params.lock", "luodi.lock"):
            (root / name).write_bytes((ROOT / name).read_bytes())
        table = corpus(root / "corpus", rows)
        whole_stage(root, table)
    near_copies(table, settings)
    sample = table["text"].combine_chunks().slice(0, 8192)
    cleaned = text.clean(sample)
    encoder = text.Encoder.fit([cleaned], settings.preprocess, settings.labels)
    listed, listed_clean = sample.to_pylist(), cleaned.to_pylist()
    ratio("clean", len(sample), lambda: text.clean(sample), lambda: clean_by_row(listed))
    ratio(
        "encode",
        len(sample),
        lambda: encoder.encode_clean(cleaned),
        lambda: encode_by_row(listed_clean, settings.preprocess.max_length, settings.preprocess.buckets),
    )
    predictions(table.slice(0, 4000), encoder, settings)


if __name__ == "__main__":
    main()
