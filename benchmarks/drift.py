"""What luodi takes for drift: how often it alarms at batches of the same source, and at those of another.

    python benchmarks/drift.py --data DIR [--batches 400]
    python benchmarks/drift.py --sizes 50 5000 500000 10000000 --batches 100

With --sizes, batches of so many generated rows beside 100,000 of the same generator, all read as `luodi ingest` reads
shards; of more than a million rows a tenth as many batches.

DIR holds online_shopping_10_cats.zip of ChineseNlpCorpus: reviews of ten product categories, equal ones once. A batch
of the same source is drawn from the category whose other rows it is compared with, a category after another, 50, 500
and 1,500 rows in turn. Batches of another source are 500 rows of a category, beside 2,000 reviews of books. Labels,
lengths and n-grams are compared, no model's answers.
"""

import argparse
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from luodi import config
from luodi.checks import compared, drift
from luodi.config.operations import Drift
from luodi.scaffold import drifting

PART = 50_000  # rows
SIZES = (50, 500, 1500)
LEAST = 3500  # rows of a category that batches of the same source are drawn from


def reviews(folder: Path) -> pd.DataFrame:
    with zipfile.ZipFile(folder / "online_shopping_10_cats.zip") as archive:
        name = next(one for one in archive.namelist() if one.endswith(".csv"))
        return pd.read_csv(io.BytesIO(archive.read(name))).dropna().drop_duplicates("review")


def rows(found: pd.DataFrame) -> drift.Rows:
    return drift.Rows(
        [str(one) for one in found["label"]],
        {"characters": found["review"].str.len().to_numpy(float)},
        list(found["review"]),
    )


def generated(count: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    """Rows of eight words each, some of which are of their label alone, as `shards.parts` gives them."""
    words = pa.array([f"w{number}" for number in range(5000)])
    for start in range(0, count, PART):
        rows = min(PART, count - start)
        label = rng.integers(2, size=rows)
        told = (rng.zipf(1.3, (8, rows)) - 1) % 2500 * 2 + np.where(rng.random((8, rows)) < 0.3, label, 0)
        text = pc.binary_join_element_wise(*(words.take(pa.array(one)) for one in told), " ")
        named = pc.if_else(pa.array(label == 1), "good", "bad")
        nowhere = pa.repeat("", rows)
        yield pa.table({"text": text, "label": named, "source": nowhere, "shard": nowhere,
                        "row": pa.array(np.arange(start, start + rows))})  # fmt: skip


def by_size(sizes: list[int], batches: int) -> None:
    settings = config.parse({"models": {"made": {"modality": "text", "labels": ["bad", "good"]}}}, "made").models[
        "made"
    ]
    before = drifting.drawn(generated(100_000, np.random.default_rng(0)), settings)
    for size in sizes:
        alarms, many = 0, batches if size <= 10**6 else max(1, batches // 10)
        for number in range(many):
            came = drifting.drawn(generated(size, np.random.default_rng([size, number])), settings)
            found = drift.look(compared.as_rows(before, settings), compared.as_rows(came, settings), settings.drift)
            alarms += found.verdict != drift.NONE
        print(f"same source, {size:,} rows: {alarms} of {many} batches alarm", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--batches", type=int, default=400)
    arguments = parser.parse_args()
    if arguments.sizes:
        by_size(arguments.sizes, arguments.batches)
        return
    whole = reviews(arguments.data)
    large = [name for name, count in whole["cat"].value_counts().items() if count >= LEAST]
    alarms, looked, why = Counter[int](), Counter[int](), Counter[str]()
    for number in range(arguments.batches):
        size, own = SIZES[number % len(SIZES)], whole[whole["cat"] == large[number % len(large)]]
        own = own.sample(size + drift.MOST, random_state=np.random.default_rng(number).integers(2**31))
        found = drift.look(rows(own[size:]), rows(own[:size]), Drift())
        looked[size] += 1
        alarms[size] += found.verdict != drift.NONE
        why.update(one.name for one in found.statistics if one.verdict != drift.NONE)
    for size in SIZES:
        print(f"same source, {size:,} rows: {alarms[size]} of {looked[size]} batches alarm", flush=True)
    print(f"  by {dict(why)}")
    books = rows(whole[whole["cat"] == "书籍"].sample(drift.MOST, random_state=0))
    for name in whole["cat"].unique():
        other = whole[whole["cat"] == name]
        found = drift.look(books, rows(other.sample(min(500, len(other)), random_state=1)), Drift())
        told = ", ".join(f"{one.name} {one.value:.2f} ({one.verdict})" for one in found.statistics)
        print(f"books, then {name}: {found.verdict}: {told}", flush=True)


if __name__ == "__main__":
    main()
