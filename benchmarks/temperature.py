"""How well a linear model of few rows is calibrated: by its validation rows, or by rows scored out of fold.

    OPENBLAS_NUM_THREADS=1 python benchmarks/temperature.py --data DIR --rows 20 thucnews category sentiment digits

Of each class so many rows are drawn, again and again, of which 80% are train and 10% validation rows, as `luodi add`
splits them; the calibration error and the loss are those of up to 2,000 rows that were not drawn. *validation* is the
temperature of least loss on the validation rows, *out of fold* that on train and validation rows, each scored by a
model of the same C that was fitted without its fold, *best* the one that the rows not drawn would have chosen. C and
the answers are the same in all of them.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import anyone
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from luodi import config
from luodi.data import image, text
from luodi.data.split_rows import Rows
from luodi.linear import of
from luodi.scaffold import recipe
from luodi.scoring import figures, folds, temperature
from luodi.scoring.scored import scored
from luodi.stages import baseline

OTHERS = 2000
LEAST = float(np.finfo(np.float32).tiny)


def rows_of(name: str, data: Path) -> tuple[list[Any], list[str], str]:
    """Items, the label of each, and the modality."""
    if name == "digits":
        table = pq.read_table(anyone.ROOT / "data" / "digits" / "scikit-learn.parquet")
        return table["image"].to_pylist(), table["label"].to_pylist(), "image"
    found = list(dict(anyone.TEXTS[name](data)).items())
    return text.clean_list([one for one, _ in found]), [label for _, label in found], "text"


def settings_for(modality: str, labels: tuple[str, ...], rows: int, chinese: bool) -> config.ModelSettings:
    if modality == "image":
        found = recipe.image(rows, 8, 8).settings | {"preprocess": {"height": 8, "width": 8, "channels": 1}}
        return config.ImageSettings.model_validate({"modality": "image", "labels": labels} | found)
    found = recipe.text(rows, len(labels), float(chinese)).settings
    return config.TextSettings.model_validate({"modality": "text", "labels": labels} | found)


def logits(model: Any, encoder: Any, items: list[Any]) -> Any:
    return np.log(np.maximum(baseline.classifier(model, encoder).probabilities(items), LEAST))


def draw(items: list[Any], label: Any, modality: str, names: tuple[str, ...], *, rows: int, rng: Any) -> dict[str, Any]:
    """Return the accuracy, and the calibration error and loss by each way to calibrate."""
    classes = len(names)
    order = rng.permutation(len(label))
    taken = np.concatenate([order[label[order] == one][:rows] for one in range(classes)])
    others = rng.permutation(np.setdiff1d(order, taken))[:OTHERS]
    taken = rng.permutation(taken)
    cut = len(taken) // 10
    held, seen = taken[cut : 2 * cut], taken[2 * cut :]  # the first tenth are what test rows would be
    settings = settings_for(modality, names, len(taken), modality == "text" and is_chinese(items[0]))

    def pick(places: Any) -> Rows:
        return Rows([items[place] for place in places], label[places], [])

    kind: Any = image if modality == "image" else text
    encoder = kind.Encoder.fit(columns(pick(seen).items, modality), settings.preprocess, names)
    fitted, own = baseline.fit(settings, encoder, pick(seen), pick(held))
    known = np.concatenate([seen, held])
    chosen = settings.baseline.model_copy(update={"regularization": (fitted.strength,)})

    def score(first: Any, judged: Any, last: Any) -> Any:
        models = of(modality).fit(own, pick(known[first]), pick(known[judged]), chosen, None, 1.0)
        return logits(models.final, own, pick(known[last]).items)

    out = folds.scores(label[known], np.arange(len(known)), classes, score)
    plain = of(modality).fit(own, pick(seen), pick(held), chosen, None, 1.0)
    mine, first = logits(plain.final, own, pick(others).items), logits(plain.judged, own, pick(held).items)
    ways = {
        "validation": temperature.scale(first, label[held]),
        "out of fold": temperature.scale(out, label[known]),
        "best": temperature.scale(mine, label[others]),
    }
    found: dict[str, Any] = {"accuracy": (mine.argmax(1) == label[others]).mean()}
    for way, factor in ways.items():
        one = temperature.probabilities(mine.astype(np.float64), factor)
        point = figures.point(scored(label[others], one, way, classes))
        found[way] = point["calibration_error"], point["log_loss"]
    return found


def columns(items: list[Any], modality: str) -> Any:
    if modality == "image":
        return [pa.array(items, pa.binary())]
    return [text.column(items[start : start + text.CHUNK]) for start in range(0, len(items), text.CHUNK)]


def is_chinese(item: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in item)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="thucnews, category, sentiment, clinc150 or digits")
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--rows", type=int, default=20, help="of each class")
    parser.add_argument("--classes", type=int, default=20, help="at most")
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    print("| data | rows a class | accuracy | by | calibration error, mean | largest of ten | log loss |")
    print("|---" * 7 + "|", flush=True)
    for name in arguments.names:
        items, told, modality = rows_of(name, arguments.data.resolve())
        names = tuple(sorted(set(told))[: arguments.classes])
        kept = [place for place, one in enumerate(told) if one in names]
        label = np.array([names.index(told[place]) for place in kept], np.int32)
        items = [items[place] for place in kept]
        rng, all_found = np.random.default_rng(arguments.rows), defaultdict(list)
        with threadpool_limits(1):
            for _ in range(arguments.draws):
                for key, value in draw(items, label, modality, names, rows=arguments.rows, rng=rng).items():
                    all_found[key].append(value)
        for way in ("validation", "out of fold", "best"):
            errors, losses = np.array(all_found[way]).T
            print(
                f"| {name} | {arguments.rows} | {np.mean(all_found['accuracy']):.3f} | {way} | {errors.mean():.3f} "
                f"| {np.quantile(errors, 0.9):.3f} | {losses.mean():.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
