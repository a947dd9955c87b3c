"""A folder as KerasHub writes it (a preset), told in the words of Hugging Face's libraries.

Only its files are read, KerasHub is not wanted: JSON, text and HDF5.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luodi.data import vocabularies
from luodi.errors import BrokenData, MissingData
from luodi.pretrained import hdf5, untrusted
from luodi.terminal import shown

if TYPE_CHECKING:
    from luodi.pretrained.checkpoint import Family

WEIGHTS, TOKENIZER, ASSETS = "model.weights.h5", "tokenizer.json", Path("assets") / "tokenizer"
INDEX = "model.weights.json"
"""Stands in place of `WEIGHTS` where these are of several files: which arrays are in which."""
TASK, PREPROCESSOR = "task.json", "preprocessor.json"
PREFIX = "keras_hub>"
OFFSET = 2  # positions that RoBERTa has before that of a text's first token
JOINED = ("reversible_embedding", "position_embedding")
TOGETHER = ("token_and_position_embedding/token_embedding", "token_and_position_embedding/position_embedding")
LAYER = re.compile(r"transformer_(?:en|de)coder(?:_(\d+))?")
PARTS = (
    *(f"_self_attention_layer/{part}_dense" for part in ("query", "key", "value", "output")),
    "_self_attention_layer_norm", "_feedforward_intermediate_dense", "_feedforward_output_dense",
    "_feedforward_layer_norm",
)  # fmt: skip
"""In the order of `Family.parts`."""


@dataclass(frozen=True)
class Backbone:
    """What a network of KerasHub is, which its configuration does not say.

    Attributes:
        family: Of `luodi.pretrained.checkpoint.FAMILIES`.
        epsilon: Of its norms.
        activation: As Hugging Face's libraries call it.
        pieces: Whether its tokens are pieces of words (WordPiece), or pairs of bytes.
        pad: The token that fills up a row.
    """

    family: str
    epsilon: float
    activation: str
    pieces: bool
    pad: str


BACKBONES: Mapping[str, Backbone] = {
    "BertBackbone": Backbone("bert", 1e-12, "gelu_new", pieces=True, pad="[PAD]"),
    "DistilBertBackbone": Backbone("distilbert", 1e-12, "gelu", pieces=True, pad="[PAD]"),
    "RobertaBackbone": Backbone("roberta", 1e-5, "gelu", pieces=False, pad="<pad>"),
    "GPT2Backbone": Backbone("gpt2", 1e-5, "gelu_new", pieces=False, pad="<|endoftext|>"),
}


IMAGES = ("ResNetBackbone", "EfficientNetBackbone", "MobileNetBackbone")
"""Networks of images, see `luodi.pretrained.stem_preset`."""


def of_images(folder: Path) -> bool:
    """Return whether a folder is a preset of a network of images."""
    path = folder / "config.json"
    return path.is_file() and name(untrusted.json_object(path)) in IMAGES


def name(config: Mapping[str, Any]) -> str | None:
    """Return which network of KerasHub's a configuration is of; None where it is of none."""
    found = config.get("registered_name")
    return found.removeprefix(PREFIX) if isinstance(found, str) and found.startswith(PREFIX) else None


def translated(folder: Path, config: Mapping[str, Any], families: Mapping[str, "Family"]) -> dict[str, Any]:
    """Return the config.json that Hugging Face's libraries would write.

    Raises:
        BrokenData: It is of a network that luodi does not read.
    """
    kind = backbone(folder, config)
    family, inner = families[kind.family], config.get("config")
    if not isinstance(inner, dict):
        inner = {}  # each number that is then not there is told
    positions = inner.get("max_sequence_length")
    if family.offset and isinstance(positions, int):
        positions += OFFSET
    known = ("num_layers", "num_heads", "hidden_dim", "intermediate_dim")
    return {
        "model_type": kind.family,
        **{theirs: inner.get(ours) for theirs, ours in zip(family.keys, known, strict=False)},
        family.keys[-1]: kind.activation,
        "vocab_size": inner.get("vocabulary_size"),
        family.positions: positions,
        "type_vocab_size": 1 if family.offset else inner.get("num_segments"),
        family.epsilon[0]: kind.epsilon,
        **_special(folder, kind),
    }


def backbone(folder: Path, config: Mapping[str, Any]) -> Backbone:
    """Return what network of texts a preset is of. Raises BrokenData: of one that luodi does not read."""
    found = name(config)
    if found is None or found not in BACKBONES:
        raise BrokenData(
            f"{folder} is a preset of KerasHub's {shown(str(found), 60)}, and luodi reads those of "
            f"{', '.join([*BACKBONES, *IMAGES])}: choose another, write one of texts as Hugging Face's libraries do "
            "(in an environment with keras-hub, export_to_transformers of the model) and add that, or one of images "
            "by the weights of one of Keras' applications (.h5)"
        )
    return BACKBONES[found]


def _special(folder: Path, kind: Backbone) -> dict[str, int | None]:
    """The id of the token that pads, which KerasHub leaves to the vocabulary."""
    known = {token: place for place, token in enumerate(_pieces(folder))} if kind.pieces else _ids(folder)
    return {"eos_token_id" if kind.family == "gpt2" else "pad_token_id": known.get(kind.pad)}


def tokenizer(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the tokenizer as JSON.

    Raises:
        ValueError: It is none.
        DataError: A file of it is away, or cannot be read.
    """
    kind, settings = backbone(folder, config), untrusted.json_object(folder / TOKENIZER).get("config")
    settings = settings if isinstance(settings, dict) else {}
    for key, usual in (("split", True), ("suffix_indicator", "##"), ("oov_token", "[UNK]")):
        if settings.get(key, usual) != usual:
            raise ValueError(f"`{key}` is {shown(repr(settings[key]), 60)}, and luodi reads {usual!r}")
    if kind.pieces:
        return vocabularies.of_vocabulary(
            _pieces(folder),
            lowercase=settings.get("lowercase") is True,
            strip_accents=settings.get("strip_accents") is True,
        )
    known = _ids(folder)
    if kind.family == "roberta" and known.get(kind.pad) != OFFSET - 1:
        raise ValueError(f"{kind.pad} is of the id {known.get(kind.pad)}, and RoBERTa's is {OFFSET - 1}")
    merges = vocabularies.merges(untrusted.lines(_asset(folder, "merges.txt")))
    return vocabularies.of_merges(
        known, merges, spaced=settings.get("add_prefix_space") is True, framed=kind.family == "roberta"
    )


def _pieces(folder: Path) -> list[str]:
    return untrusted.lines(_asset(folder, "vocabulary.txt"))


def _ids(folder: Path) -> dict[str, int]:
    _asset(folder, "vocabulary.json")
    return untrusted.json_object(folder / ASSETS / "vocabulary.json")


def _asset(folder: Path, name: str) -> str:
    if not (folder / ASSETS / name).is_file():
        raise MissingData(f"{folder} holds no {ASSETS / name}: get the whole preset again")
    return untrusted.text(folder / ASSETS / name)


def said(folder: Path, name: str, key: str) -> object:
    """Return what a file of a preset says beside its network's: for how many tokens it was made, how it pools."""
    found = untrusted.json_object(folder / name).get("config") if (folder / name).is_file() else None
    return found.get(key) if isinstance(found, dict) else None


@contextmanager
def opened(folder: Path, family: "Family") -> Iterator["Arrays"]:
    """Open the weights, found to be no larger than their files."""
    with ExitStack() as stack:
        held: dict[str, Any] = {}
        for path in _files(folder):
            held |= hdf5.arrays(path, stack.enter_context(hdf5.opened(path)), path.stat().st_size)
        yield Arrays(held, family)


def _files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    found = untrusted.json_object(folder / INDEX).get("weight_map")
    named = [found[place] for place in found] if isinstance(found, dict) else []
    names = [name for one in named for name in (one if isinstance(one, list) else [one])]
    for name in names or [None]:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".weights.h5"):
            raise BrokenData(
                f"{folder / INDEX} cannot be right: {shown(repr(name), 60)} is no file of weights beside it; get the "
                "whole preset again"
            )
        if not (folder / name).is_file():
            raise MissingData(f"{folder} holds no {shown(name, 60)}, which {INDEX} names: get the whole preset again")
    return [folder / name for name in sorted(set(names))]


class Arrays:
    """The tensors of a preset by the names and of the shapes that Hugging Face's libraries give them."""

    def __init__(self, held: Mapping[str, Any], family: "Family") -> None:
        self._held, self._family = held, family
        self._paths = {
            name: paths for name, paths in _paths(held, family).items() if all(path in held for path in paths)
        }

    def keys(self) -> list[str]:
        """Names of the tensors."""
        return list(self._paths)

    def get_slice(self, name: str) -> "Slice":
        """Return what is known of a tensor before it is read."""
        if not self._paths[name]:
            return Slice((1, self._width), "float32")
        flat = [_flat(path, self._held[path].shape) for path in self._paths[name]]
        shape = (*flat[0][:-1], sum(one[-1] for one in flat))
        shape = shape[::-1] if self._turned(name) else shape
        return Slice((shape[0] + self._before(name), *shape[1:]), self._held[self._paths[name][0]].dtype.name)

    def get_tensor(self, name: str) -> NDArray[Any]:
        """Read a tensor; of RoBERTa's one kind of segments KerasHub keeps nothing."""
        if not self._paths[name]:
            return np.zeros((1, self._width), np.float32)
        read = [self._held[path][()].reshape(_flat(path, self._held[path].shape)) for path in self._paths[name]]
        found = np.concatenate(read, -1)
        found = found.T if self._turned(name) else found
        return np.pad(found, [(self._before(name), 0), *[(0, 0)] * (found.ndim - 1)])

    @property
    def _width(self) -> int:
        return self.get_slice(f"{self._family.embeddings[0]}.weight").shape[-1]

    def _turned(self, name: str) -> bool:
        """A matrix is [in, out] here; an embedding and a decoder's are so there too."""
        return not self._family.causal and name.startswith(self._family.layer.partition("{")[0])

    def _before(self, name: str) -> int:
        """Rows of positions that no token has, which are left out here."""
        return OFFSET if self._family.offset and name == f"{self._family.embeddings[1]}.weight" else 0


@dataclass(frozen=True)
class Slice:
    """What is known of a tensor before it is read."""

    shape: tuple[int, ...]
    dtype: str

    def get_shape(self) -> list[int]:
        """As safetensors has it."""
        return list(self.shape)

    def get_dtype(self) -> str:
        """As safetensors has it, for those that luodi reads."""
        return {"float32": "F32", "float16": "F16"}.get(self.dtype, self.dtype)


def _flat(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the heads of attention joined, whose widths are axes of their own here."""
    if len(shape) == 3:
        first, middle, last = shape
        return (first * middle, last) if "/output_dense/" in path else (first, middle * last)
    return (shape[0] * shape[1],) if "_dense/vars/1" in path and len(shape) == 2 else shape


def _paths(arrays: Iterable[str], family: "Family") -> dict[str, list[str]]:
    """Where the arrays of each tensor are: of a decoder, one tensor is of query, key and value."""
    held = {place.split("/")[1] for place in arrays if place.startswith("layers/")}
    words, places = next((one for one in (JOINED, TOGETHER) if one[0].partition("/")[0] in held), JOINED)
    found = {f"{family.embeddings[0]}.weight": [words], f"{family.embeddings[1]}.weight": [places]}
    if family.types:
        found["embeddings.token_type_embeddings.weight"] = [] if family.offset else ["embedding"]
    found = {name: [f"layers/{one}/vars/0" for one in its] for name, its in found.items()}
    parts = [(family.embeddings[2], "layer_normalization")]
    for layer in filter(None, map(LAYER.fullmatch, held)):
        its = family.layer.format(layer[1] or 0)
        parts += [(its + theirs, f"{layer[0]}/{ours}") for theirs, ours in zip(family.parts, PARTS, strict=True)]
    for theirs, ours in parts:
        for place, kind in enumerate(("weight", "bias")):
            found.setdefault(f"{theirs}.{kind}", []).append(f"layers/{ours}/vars/{place}")
    return found
