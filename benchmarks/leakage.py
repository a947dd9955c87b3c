"""How many test rows of a random split of the raw reviews have their text in train too.

    python benchmarks/leakage.py

The share expected over all splits, and those of a few drawn ones.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
TRAIN, TEST = 0.8, 0.1


def expected(counts: "np.ndarray[tuple[int], np.dtype[np.int64]]", train: float = TRAIN) -> float:
    """Return the chance that a test row's text is in train, where text i stands in counts[i] rows.

    Each of the other rows of its text is in train with chance `train`, so none of them is with (1 - train) ** others.
    """
    rows = counts.sum()
    return float((counts * (1 - (1 - train) ** (counts - 1))).sum() / rows)


def drawn(texts: list[str], seed: int) -> float:
    """Return the share of one random split."""
    order = np.random.default_rng(seed).permutation(len(texts))
    train, test = int(TRAIN * len(texts)), int(TEST * len(texts))
    known = {texts[row] for row in order[:train]}
    return float(np.mean([texts[row] in known for row in order[-test:]]))


def main() -> None:
    texts = pq.read_table(ROOT / "data" / "reviews")["text"].to_pylist()
    counts = np.unique(np.array(texts), return_counts=True)[1]
    print(f"{len(texts):,} rows, {len(texts) - len(counts):,} repeat an earlier one")
    print(f"test rows whose text is in train at {TRAIN:.0%} train: expected {expected(counts):.1%}")
    print(f"five random splits: {', '.join(f'{drawn(texts, seed):.1%}' for seed in range(5))}")


if __name__ == "__main__":
    main()
