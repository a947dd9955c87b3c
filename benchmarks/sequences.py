"""Networks that read characters in their order, from their first weights, beside the linear model, on THUCNews titles.

    python benchmarks/sequences.py --data DIR --rows 10000

So many rows of train.txt, one in nine of which decides when training stops; dev.txt is scored once. Each network has
its own defaults, but `embedding: 64` for those that docs/params.md names for it. Seconds are a processor's.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import texts
from threadpoolctl import threadpool_limits

from luodi.config import TextSettings
from luodi.data import text
from luodi.data.split_rows import Rows
from luodi.linear import text as linear
from luodi.nets import fitting
from luodi.scoring import inference

NETWORKS: dict[str, dict[str, Any]] = {"transformer": {}, "cnn": {"embedding": 64}, "cnn_lstm": {"embedding": 64}}


def titles(data: Path, rows: int) -> tuple[tuple[str, ...], list[Rows]]:
    """The classes; rows of train.txt to fit on and to stop by, those of dev.txt."""
    found = []
    for name in ("train.txt", "dev.txt"):
        lines = (data / "thucnews" / name).read_text(encoding="utf-8").splitlines()
        items, label = zip(*(line.rsplit("\t", 1) for line in lines), strict=True)
        found.append((text.clean_list(list(items)), np.array(label, np.int32)))
    (items, label), dev = found
    order = np.random.default_rng(0).permutation(len(items))[:rows]
    held, seen = np.split(order, [rows // 9])
    parts = [Rows([items[row] for row in part], label[part], []) for part in (seen, held)]
    labels = tuple((data / "thucnews" / "class.txt").read_text(encoding="utf-8").split())
    return labels, [*parts, Rows(*dev, [])]


def encoded(settings: TextSettings, parts: list[Rows]) -> tuple[text.Encoder, list[Any]]:
    """An encoder of the first of `parts`, and what it makes of each."""
    encoder = text.Encoder.fit(texts.columns(parts[0].items), settings.preprocess, settings.labels)
    return encoder, [np.concatenate([encoder.encode_clean(one) for one in texts.columns(part.items)]) for part in parts]


def network(settings: TextSettings, parts: list[Rows]) -> Any:
    encoder, x = encoded(settings, parts)
    model = fitting.fit_rows(settings, encoder, (x[0], parts[0].label), (x[1], parts[1].label)).model
    print(f"{settings.train.architecture}: {model.count_params():,} weights", flush=True)
    return model.predict(x[2], batch_size=512, verbose=0)


def baseline(settings: TextSettings, parts: list[Rows]) -> Any:
    encoder, x = encoded(settings, parts)
    with threadpool_limits(1):
        model = linear.fit(encoder, *parts[:2], settings.baseline).judged
    return inference.run_session(inference.session(model.SerializeToString()), x[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of thucnews")
    parser.add_argument("--rows", type=int, default=10_000)
    options = parser.parse_args()
    labels, parts = titles(options.data, options.rows)
    for name in ("linear", *NETWORKS):
        block: dict[str, Any] = {"modality": "text", "labels": labels, "train": {"architecture": name}}
        if name in NETWORKS:
            block["train"] |= NETWORKS[name]
            block["preprocess"] = {"tokenizer": "char", "max_length": 30}
        settings, started = TextSettings.model_validate(block), time.process_time()
        scores = (network if name in NETWORKS else baseline)(settings, parts)
        right, spent = (scores.argmax(1) == parts[2].label).sum(), time.process_time() - started
        print(f"{name}: {right / len(scores):.4f}, {spent:.0f} processor seconds", flush=True)


if __name__ == "__main__":
    main()
