"""Do explanations name what decides? Take away the fifth that an explanation names, or a fifth at random, and look.

    python benchmarks/explanations.py FOLDER ITEMS     # of `luodi pull`; texts, one a line, or a folder of images

The more the probability of the label falls, the more of what decided was named (deletion, Petsiuk et al. 2018). Beside
it what single parts do when they alone are away (occlusion), which needs a twentieth of the questions.
"""

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luodi.data import inputs, parts
from luodi.registry import classifier
from luodi.scoring import explaining
from luodi.scoring.inference import Classifier, run_session

SHARE, DRAWS = 0.2, 10


def falls(model: Classifier, item: str | bytes, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return by how much the probability falls: without the parts that are named, by occlusion, and at random."""
    found = explaining.explain(model, item)
    taken_apart, index = parts.of(model.encoder, item), model.labels.index(found.label)
    count = len(found.weights)
    away = max(1, round(count * SHARE))

    def without(rows: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        kept = np.ones((len(rows), count), bool)
        for mask, row in zip(kept, rows, strict=True):
            mask[row] = False
        return found.probability - run_session(model.session, taken_apart.without(kept))[:, index]

    single = without([np.array([part]) for part in range(count)])
    drawn = [rng.choice(count, away, replace=False) for _ in range(DRAWS)]
    named, occluded, *others = without([np.argsort(-found.weights)[:away], np.argsort(-single)[:away], *drawn]).tolist()
    return named, occluded, sum(others) / DRAWS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("items", type=Path)
    parser.add_argument("--rows", type=int, default=500)
    given = parser.parse_args()
    model, rng = classifier.pulled(given.folder), np.random.default_rng(0)
    if model.encoder.modality == "image":
        items = [content for files in inputs.images(str(given.items)) for _, content in files]
        chosen = [items[place] for place in rng.permutation(len(items))[: given.rows]]
    else:
        with given.items.open(encoding="utf-8") as lines:
            chosen = [line.rstrip("\n") for line in islice(lines, given.rows)]
    start = time.process_time()
    found = np.array([falls(model, item, rng) for item in chosen])
    cost = (time.process_time() - start) / len(found)
    named, occluded, drawn = found.mean(0)
    above = (found[:, 0] > found[:, 2]).mean()
    print(f"{model.version}, {len(found)} rows, {cost:.3f} CPU s each. Without a fifth of the parts it falls by")
    print(
        f"{named:.3f} (named), {occluded:.3f} (occlusion), {drawn:.3f} (at random); by more than at random: {above:.1%}"
    )


if __name__ == "__main__":
    main()
