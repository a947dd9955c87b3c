"""What sentence-transformers writes around a network: where it lies, how its vectors are pooled, what follows them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from luodi.errors import BrokenData
from luodi.pretrained import preset, untrusted
from luodi.terminal import shown

MODULES, POOLING, CONFIG = "modules.json", "1_Pooling", "config.json"
SETTINGS = "sentence_bert_config.json"
FIRST = ("Transformer", "BERT", "RoBERTa", "DistilBERT", "XLMRoBERTa", "CamemBERT", "ELECTRA")
PASSING = ("Normalize", "Dropout")
"""Change nothing of what a classifier is given: it brings vectors to one length itself."""
LEFT_OUT = ("Dense", "LayerNorm")
Pooling = Literal["mean", "cls", "last"]
POOLINGS: Mapping[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last",
}


def network(folder: Path) -> Path:
    """Return the folder of the network: `folder` itself, or as older versions write it, 0_Transformer in it.

    Raises:
        BrokenData: What the folder holds begins with something else, or is joined by what luodi does not read.
    """
    modules = _modules(folder)
    if not modules:
        return folder
    (first, place), *others = modules
    known = ("Pooling", *PASSING, *LEFT_OUT)
    strange = [kind for kind, _ in others if kind not in known] if first in FIRST else [first]
    if strange:
        raise BrokenData(
            f"{folder / MODULES} has a module {shown(strange[0], 60)}, and luodi reads a Transformer, followed by "
            f"{', '.join(known)}: choose another checkpoint"
        )
    return folder / place


def left_out(folder: Path) -> tuple[str, ...]:
    """Return what follows the pooled vectors and is not of luodi's encoder: the classifier has a layer of its own."""
    return tuple(kind for kind, _ in _modules(folder) if kind in LEFT_OUT)


def pooling(folder: Path, without: Pooling) -> Pooling:
    """Return how the vectors of a text's tokens become one; `without` where no file says."""
    place = next((place for kind, place in _modules(folder) if kind == "Pooling"), POOLING)
    path = folder / place / CONFIG
    if not path.is_file():
        path, config = folder / preset.TASK, {"pooling_mode": preset.said(folder, preset.TASK, "pooling_mode")}
        if config["pooling_mode"] is None:
            return without
    else:
        config = untrusted.json_object(path)
    chosen = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    chosen = chosen or [str(config.get("pooling_mode"))]
    if len(chosen) != 1 or chosen[0] not in POOLINGS:
        raise BrokenData(
            f"{path}: it pools by {shown(', '.join(chosen), 100)}, and luodi does by mean, cls or the last token: "
            "choose another checkpoint"
        )
    return POOLINGS[chosen[0]]


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Kind and folder of each; none where modules.json is not there."""
    if not (path := folder / MODULES).is_file():
        return []
    found = untrusted.json_value(path)
    modules = found if isinstance(found, list) and found else [None]
    return [_module(path, one) for one in modules]


def _module(path: Path, told: object) -> tuple[str, str]:
    kind, place = (told.get("type"), told.get("path")) if isinstance(told, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(place, str) or Path(place).name != place or place == "..":
        raise BrokenData(
            f"{path}: expected a list of modules, each with a type and the name of its folder, found "
            f"{shown(repr(told), 100)}: get it again"
        )
    return kind.rpartition(".")[2], place
