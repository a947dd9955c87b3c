"""Pages that were hardest to read, of whichever luodi is imported: 10,000 mistakes, and 150 classes.

    python benchmarks/hard_pages.py now
    git worktree add ../before 28c3450^ && PYTHONPATH=../before/src python benchmarks/hard_pages.py before
    python benchmarks/pages.py before --load; python benchmarks/pages.py now --load

28c3450 began to make pages for many classes and mistakes: pages.md has what came of it.
"""

import sys
from pathlib import Path

import numpy as np

import luodi
from luodi import config
from luodi.data import split_rows
from luodi.report import page
from luodi.scoring import figures
from luodi.scoring.scored import Scored
from luodi.stages import evaluate

MANY = tuple(f"{kind} {number:03}" for kind in ("家用电器和厨房用品", "household and kitchen") for number in range(75))
CASES = {"mistakes": (("negative", "positive"), 30_000), "classes": (MANY, 30_000)}


def scored(truth: "np.ndarray[tuple[int], np.dtype[np.int64]]", wrong: float, classes: int, seed: int) -> Scored:
    """Rows of which a share is taken for another class."""
    rng = np.random.default_rng(seed)
    taken = np.where(rng.random(len(truth)) < wrong, (truth + rng.integers(1, classes, len(truth))) % classes, truth)
    sure = rng.uniform(0.55, 0.99, len(truth))
    scores = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, 1)
    scores[np.arange(len(truth)), taken] = sure
    return Scored(truth, scores)


def made(labels: tuple[str, ...], rows: int) -> str:
    """Return the page of an evaluation in which a third of the rows is wrong, and all that is wrong is asked for."""
    truth = np.arange(rows) % len(labels)
    model, baseline = scored(truth, 0.34, len(labels), 1), scored(truth, 0.37, len(labels), 2)
    block = config.load(Path(luodi.__file__).parents[2] / "params.yaml").models["reviews"]
    asked = config.Evaluate(bootstrap=50, mistakes=10_000)
    settings = block.model_copy(update={"labels": labels, "evaluate": asked})
    items = [f"{labels[label]}：第{row}行，快递很快，包装完好。" for row, label in enumerate(truth)]
    origin: list[str | None] = [f"base.csv, line {row + 2}" for row in range(rows)]
    test = split_rows.Rows(items, truth.astype(np.int32), ["base"] * rows, origin)
    none = Scored(np.zeros(0, np.int64), np.zeros((0, len(labels))))
    measured = evaluate.measure(test, model, baseline, none, settings)
    near = figures.near_slices(np.arange(rows), ["0.9 or more" if row % 9 == 0 else None for row in range(rows)],
                               model, 0.95)  # fmt: skip
    measured |= {"size_bytes": 8_389_987, "test_share": 0.1, "nearest": near, "newest": None}
    measured |= {"choice": {"chosen": "net", "metric": "accuracy", "validation": {}}}
    return page.render("evaluation", name="reviews", **evaluate.describe(measured, test, model, baseline, settings))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, case in CASES.items():
        (folder / f"{name}.html").write_text(made(*case), encoding="utf-8")
