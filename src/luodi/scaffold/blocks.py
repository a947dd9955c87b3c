"""The block of a new model in params.yaml: limits and settings from its data, where no default has them."""

import math
from collections.abc import Mapping
from typing import Any

from luodi.config import MODALITIES, ImageValidate, TextPreprocess, TextValidate
from luodi.data import statistics
from luodi.scaffold import deciding
from luodi.scaffold.recipe import Recipe
from luodi.scaffold.splitting import Split

LONGEST_SIDE = 64  # pixels that a network is given of a large image: two cores train on it in minutes
LONG = 2000  # characters read of a text, at most
READ = 40_000_000  # of all texts: up to 20 bytes each on the disk, and time in each epoch
HELD = TextValidate().max_quarantined_share

Settings = dict[str, Any]


def build(  # noqa: PLR0917, each is another thing that is known
    modality: str,
    seen: statistics.Traits,
    limits: Mapping[str, Settings],
    advice: Recipe,
    split: Split,
    column: Mapping[str, str],
) -> Settings:
    """The block of a model in params.yaml: its labels, and what the data gives where no default has it."""
    repeated, contradicting, _ = seen.repeats()
    of_any: dict[str, Settings] = {
        "validate": {
            "min_rows": max(1, split.learned.total() // 2),
            "max_duplicate_share": _up(min(1, 1.5 * repeated + 0.05)),
            "max_contradictions": 2 * contradicting + 10,
            "min_class_share": down(min(seen.class_shares) / 2),
            "max_quarantined_share": limit(seen),
        },
        "preprocess": split.settings,
        "gate": gate(advice, split)[0],
    }
    block: Settings = {"modality": modality, "labels": seen.labels, **column}
    bare = {"modality": modality, "labels": ("a", "b")}
    defaults = MODALITIES[modality].model_validate(bare).model_dump(by_alias=True)
    for stage, usual in defaults.items():
        values = {**of_any.get(stage, {}), **limits.get(stage, {}), **advice.settings.get(stage, {})}
        if differing := {key: value for key, value in values.items() if value != usual[key]}:
            block[stage] = differing
    return block


def limit(seen: statistics.Traits) -> float:
    """Return the share of rows above which validation stops a run: those without a label, or with several, may be as
    many as now."""
    return max(HELD, _up(min(1, 1.5 * (seen.unlabelled + seen.repeats()[2]) / seen.rows)))


def gate(advice: Recipe, split: Split) -> tuple[dict[str, Any], list[str]]:
    """Block gate, and why, a sentence for each choice."""
    linear = advice.settings["train"].get("architecture") == "linear"
    return deciding.settings(split.learned, split.tests, linear=linear)


def text_limits(seen: statistics.TextTraits) -> dict[str, Settings]:
    """Block by block, what the lengths and the script of the texts give."""
    longest = seen.length(0.999)
    chinese = seen.chinese / max(seen.letters, 1)
    return {
        "validate": {
            "min_length": 1,
            "max_length": max(TextValidate().max_length, 2 * longest),
            "min_chinese_share": down(chinese / 2),
        },
        "preprocess": {"max_length": kept(seen)},
    }


def kept(seen: statistics.TextTraits) -> int:
    """Return how many characters of a text are read: all of 95 texts in 100, within what arrays and time allow.

    Of manual pages in five languages, which begin with the same licence, 200 characters told 0.59 of the rows right and
    2,000 of them 0.99; the sections of such pages 0.82 and 0.98, and 8,000 no more (benchmarks/texts.md).
    """
    usual, longest = TextPreprocess().max_length, seen.length(0.999)
    if longest <= usual:
        return max(16, longest)
    return max(usual, min(LONG, READ // seen.rows, seen.length(0.95)))


def image_limits(look: statistics.Look) -> dict[str, Settings]:
    """Block by block, what the sides and the light of the images give."""
    smallest, largest = int(look.sides.min()), int(look.sides.max())
    height, width = look.median
    scale = min(1, LONGEST_SIDE / max(height, width))
    return {
        "validate": {
            "min_side": max(1, smallest // 2),
            "max_side": max(ImageValidate().max_side, 2 * largest),
            "min_intensity": down(look.intensity / 2),
            "max_intensity": _up((1 + look.intensity) / 2),
        },
        "preprocess": {
            "height": max(8, round(scale * height)),
            "width": max(8, round(scale * width)),
            "channels": 3 if look.coloured > 0.01 else 1,
        },
    }


def down(share: float) -> float:
    """Round a share to three digits, never up."""
    return math.floor(1000 * share) / 1000


def _up(share: float) -> float:
    return min(1.0, math.ceil(1000 * share) / 1000)
