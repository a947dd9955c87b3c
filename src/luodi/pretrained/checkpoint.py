"""A folder as Hugging Face's libraries or KerasHub write it, checked before anything of it is believed: a checkpoint.

Only its files are read: JSON, text, safetensors and HDF5. Nothing in it runs, and nothing is downloaded.
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.errors import BrokenData, MissingData
from luodi.nets.canonical import LARGEST
from luodi.pretrained import preset, sentences, tokens, untrusted
from luodi.pretrained.sentences import Pooling
from luodi.system import lfs
from luodi.terminal import shown

WEIGHTS, CONFIG = "model.safetensors", "config.json"
INDEX = f"{WEIGHTS}.index.json"
"""Stands in place of `WEIGHTS` where these are of several files: which tensor is in which."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
PRESETS = (preset.WEIGHTS, preset.INDEX)
DTYPES = ("F32", "F16", "BF16", "F64")
ACTIVATIONS = ("gelu", "gelu_new", "relu")
UNSTATED = "none stated"
LICENCE = re.compile(r"^licen[sc]e:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)
DEEPEST = 1000  # layers
CONVERT = (
    "in an environment with torch and transformers, and if you trust where it is from, write it anew with "
    "`python -c \"from transformers import AutoModel, AutoTokenizer; AutoModel.from_pretrained('{0}')"
    ".save_pretrained('{0}-safe'); AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}-safe')\"`"
)


@dataclass(frozen=True)
class Family:
    """What checkpoints of a kind call the same things.

    Attributes:
        prefixes: Of the names of tensors, where a head stands beside the encoder.
        keys: In config.json: layers, heads, width, inner width, activation.
        layer: Where the tensors of a layer are.
        parts: Of a layer: query, key, value, what joins the heads, its norm, inner, outer, its norm.
        types: Whether it tells segments apart, of which all texts are the first.
        offset: Whether its positions begin behind the id that pads.
        causal: Whether it is a decoder, as GPT-2 is: a token sees those before it alone, each norm stands before what
            it is of, and matrices are [in, out], those of query, key and value one.
        embeddings: Of the tokens, of their positions, and the norm that is of no layer.
        positions: Their number in config.json.
        epsilon: Of the norms: its key there, and what it is without.
        ignored: Ends of names in a layer that are no weights.
    """

    prefixes: tuple[str, ...]
    keys: tuple[str, str, str, str, str]
    layer: str
    parts: tuple[str, ...]
    types: bool = True
    offset: bool = False
    causal: bool = False
    embeddings: tuple[str, str, str] = (
        "embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.LayerNorm"
    )  # fmt: skip
    positions: str = "max_position_embeddings"
    epsilon: tuple[str, float] = ("layer_norm_eps", 1e-12)
    ignored: tuple[str, ...] = ()


_KEYS = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "hidden_act")
_PARTS = (
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm",
)  # fmt: skip
_ROBERTA = Family(("roberta.",), _KEYS, "encoder.layer.{}.", _PARTS, offset=True)
FAMILIES: Mapping[str, Family] = {
    "bert": Family(("bert.",), _KEYS, "encoder.layer.{}.", _PARTS),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Family(("electra.",), _KEYS, "encoder.layer.{}.", _PARTS),
    "distilbert": Family(
        ("distilbert.",),
        ("n_layers", "n_heads", "dim", "hidden_dim", "activation"),
        "transformer.layer.{}.",
        ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
         "ffn.lin1", "ffn.lin2", "output_layer_norm"),
        types=False,
    ),
    "gpt2": Family(
        ("transformer.",),
        ("n_layer", "n_head", "n_embd", "n_inner", "activation_function"),
        "h.{}.",
        ("attn.c_attn", "attn.c_attn", "attn.c_attn", "attn.c_proj", "ln_1", "mlp.c_fc", "mlp.c_proj", "ln_2"),
        types=False,
        causal=True,
        embeddings=("wte", "wpe", "ln_f"),
        positions="n_positions",
        epsilon=("layer_norm_epsilon", 1e-5),
        ignored=(".attn.bias", ".attn.masked_bias"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """An encoder that a folder holds, and how texts reach it. `shapes` is of the tensors that it needs, by their names.

    Attributes:
        length: Tokens of the longest text that it reads, those that begin and end it among them.
        pad: The id that fills up a row.
        pooling: "mean" of the tokens' vectors, or "cls", that of the first.
        tokenizer: JSON, as Hugging Face's `tokenizers` reads it.
        left_out: What follows the pooled vectors in the folder, and is not read.
    """

    folder: Path
    family: str
    layers: int
    heads: int
    width: int
    activation: str
    epsilon: float
    length: int
    pad: int
    pooling: Pooling
    licence: str
    tokenizer: str
    shapes: Mapping[str, tuple[int, ...]]
    left_out: tuple[str, ...] = ()

    @property
    def kind(self) -> Family:
        """How its family names and joins its parts."""
        return FAMILIES[self.family]

    @property
    def weights(self) -> int:
        """How many numbers its tensors hold."""
        return sum(map(math.prod, self.shapes.values()))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Read the tensors of `shapes`.

        Raises:
            BrokenData: One holds what is no number.
        """
        found = {}
        with _opened(self.folder, self.kind) as files:
            names = _named(files, self.kind)
            for name in self.shapes:
                found[name] = _float32(files[names[name]], names[name])
                if not np.isfinite(found[name]).all():
                    raise BrokenData(
                        f"{_weights(self.folder)}: {name} holds values that are no numbers: get the checkpoint again"
                    )
        return found


def read(folder: Path) -> Checkpoint:
    """Return what the folder holds; of the weights their header alone is read.

    Raises:
        MissingData: There is no such folder, or it lacks a file.
        BrokenData: Its weights or its code are of a kind that luodi does not open, or its files do not fit together.
    """
    whole, folder = folder, sentences.network(folder)
    _require_files(folder)
    told = config = untrusted.json_object(folder / CONFIG)
    if preset.name(told):
        config = preset.translated(folder, told, FAMILIES)
    family = _family(folder, config)
    kind = FAMILIES[family]
    config = _inner_of(kind, config)
    layers, heads, width, inner = (_number(folder, config, key) for key in kind.keys[:4])
    vocabulary, positions = (_number(folder, config, key) for key in ("vocab_size", kind.positions))
    activation = config.get(kind.keys[4], "gelu_new" if kind.causal else "gelu")
    _require(folder, f"`{kind.keys[4]}`", activation, ACTIVATIONS)
    _require(folder, "`position_embedding_type`", config.get("position_embedding_type", "absolute"), ("absolute",))
    _require(folder, "`scale_attn_weights`", config.get("scale_attn_weights", True), (True,))
    _require(
        folder, "`scale_attn_by_inverse_layer_idx`", config.get("scale_attn_by_inverse_layer_idx", False), (False,)
    )
    _require(folder, "`is_decoder`", config.get("is_decoder", False), (False,))
    _require(folder, "`embedding_size`", config.get("embedding_size", width), (width,))
    if layers > DEEPEST:
        raise _lies(folder, f"an encoder has no {layers:,} layers")
    if width % heads:
        raise _lies(folder, f"{heads} heads cannot share a width of {width}")
    types = _number(folder, config, "type_vocab_size") if kind.types else 0
    # What a file leaves out is what Hugging Face's library takes for that family; a decoder has often no token that
    # pads, and no text has the one that ends all.
    key = "eos_token_id" if kind.causal else "pad_token_id"
    pad = config.get(key, 1 if kind.offset else 0)
    epsilon = config.get(*kind.epsilon)
    if not isinstance(pad, int) or isinstance(pad, bool) or not 0 <= pad < vocabulary:
        raise _lies(folder, f"`{key}` is {shown(repr(pad), 60)}, and there are {vocabulary:,} tokens")
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise _lies(folder, f"`{kind.epsilon[0]}` is {shown(repr(epsilon), 60)}, expected a number between 0 and 1")
    shapes = _shapes(kind, layers, width, inner, vocabulary=vocabulary, positions=positions, types=types)
    _require_tensors(folder, kind, shapes)
    tokenizer = tokens.read(folder, told, vocabulary, framed=not kind.causal)
    if kind.causal:
        tokens.require_end(folder, tokenizer, pad)
    else:
        pad = tokens.pad(folder, tokenizer, pad, fixed=kind.offset)
    most = positions - (pad + 1 if kind.offset else 0)
    return Checkpoint(
        folder, family, layers, heads, width, activation, epsilon, _length(folder, most), pad,
        sentences.pooling(whole, "last" if kind.causal else "mean"), licence(whole), tokenizer, shapes,
        sentences.left_out(whole),
    )  # fmt: skip


def licence(folder: Path) -> str:
    """Return what README.md says of the licence, or the first line of a LICENSE; `UNSTATED` without."""
    readme = untrusted.text(folder / "README.md").replace("\r\n", "\n") if (folder / "README.md").is_file() else ""
    head, closed, _ = readme.partition("\n---")
    if closed and head.startswith("---\n") and (found := LICENCE.search(head)):
        return shown(found[1].strip("\"' "), 100)
    for path in filter(Path.is_file, sorted(folder.glob("LICEN[SC]E*"))):
        if lines := untrusted.text(path).split("\n"):
            return shown(next((line.strip() for line in lines if line.strip()), UNSTATED), 100)
    return UNSTATED


def _require_files(folder: Path) -> None:
    if not folder.is_dir():
        raise MissingData(
            f"{folder} is no folder: expected one with {CONFIG}, {tokens.TOKENIZER} and {WEIGHTS}, as Hugging Face's "
            "libraries write it; luodi downloads none"
        )
    of_preset = False
    if (folder / CONFIG).is_file():  # of what luodi does not read no file is asked for, and nothing is converted
        config = untrusted.json_object(folder / CONFIG)
        of_preset = preset.name(config) is not None
        _ = preset.backbone(folder, config) if of_preset else _family(folder, config)
    held = _held(folder)
    if held is None and not of_preset:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            raise BrokenData(
                f"{folder} has its weights in {shown(pickles[0], 60)}, a file that can run code when it is opened: "
                f"expected {WEIGHTS}; {CONVERT.format(folder)}"
            )
    wanted = (CONFIG, held or (preset.WEIGHTS if of_preset else WEIGHTS))
    missing = [name for name in wanted if not (folder / name).is_file()]
    missing += filter(None, [tokens.lacking(folder, tokens.FORMS[:1] if of_preset else tokens.FORMS)])
    if missing:
        lacking = f"{folder} holds no {' and no '.join(missing)}"
        if of_preset:
            raise MissingData(
                f"{lacking}: expected a preset as KerasHub writes it (save_to_preset of a model and of its tokenizer)"
            )
        raise MissingData(
            f"{lacking}: expected a checkpoint as Hugging Face's libraries write it (save_pretrained of a model and of "
            "its tokenizer)"
        )


def _held(folder: Path) -> str | None:
    return next((name for name in (WEIGHTS, INDEX, *PRESETS) if (folder / name).is_file()), None)


def _weights(folder: Path) -> Path:
    """What is named where the weights do not fit."""
    return folder / (held if (held := _held(folder)) in PRESETS else WEIGHTS)


def _family(folder: Path, config: Mapping[str, Any]) -> str:
    if "auto_map" in config:
        raise BrokenData(
            f"{folder / CONFIG} names code of the checkpoint's own (auto_map), and luodi runs none: choose a "
            f"checkpoint of {', '.join(FAMILIES)}"
        )
    return _require(folder, "`model_type`", config.get("model_type"), tuple(FAMILIES))


def _inner_of(family: Family, config: dict[str, Any]) -> dict[str, Any]:
    """A decoder's config.json may leave out how wide its hidden layers are: four times as wide as it is itself."""
    *_, width, inner, _ = family.keys
    if not family.causal or config.get(inner) is not None or not isinstance(config.get(width), int):
        return config
    return config | {inner: 4 * config[width]}


def _require(folder: Path, key: str, found: object, known: tuple[object, ...]) -> str:
    if found not in known:
        raise BrokenData(
            f"{folder / CONFIG}: {key} is {shown(repr(found), 60)}, and luodi reads "
            f"{', '.join(map(str, known))}: choose another checkpoint"
        )
    return str(found)


def _number(folder: Path, config: Mapping[str, Any], key: str) -> int:
    found = config.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise _lies(folder, f"`{key}` is {shown(repr(found), 60)}, expected a number above 0")
    return found


def _lies(folder: Path, why: str) -> BrokenData:
    return BrokenData(f"{folder / CONFIG} cannot be right: {why}; get the checkpoint again")


def _shapes(
    family: Family, layers: int, width: int, inner: int, *, vocabulary: int, positions: int, types: int
) -> dict[str, tuple[int, ...]]:
    """The tensors of the encoder and their shapes: matrices are [out, in], as PyTorch has them, but of a decoder."""
    words, places, norm = family.embeddings
    found: dict[str, tuple[int, ...]] = {
        f"{words}.weight": (vocabulary, width),
        f"{places}.weight": (positions, width),
        **({"embeddings.token_type_embeddings.weight": (types, width)} if types else {}),
        f"{norm}.weight": (width,),
        f"{norm}.bias": (width,),
    }
    attending = (width, (3 if family.causal else 1) * width)
    matrices = (attending, attending, attending, (width, width), (width,), (width, inner), (inner, width), (width,))
    for layer in range(layers):
        for part, shape in zip(family.parts, matrices, strict=True):
            name = family.layer.format(layer) + part
            found[f"{name}.weight"] = shape if family.causal else shape[::-1]
            found[f"{name}.bias"] = shape[-1:]
    return found


def _require_tensors(folder: Path, family: Family, shapes: Mapping[str, tuple[int, ...]]) -> None:
    path = _weights(folder)
    with _opened(folder, family) as files:
        names = _named(files, family)
        for name, shape in shapes.items():
            if name not in names:
                raise _misfit(path, f"it holds no {name}")
            found = files[names[name]].get_slice(names[name])
            if tuple(found.get_shape()) != shape:
                raise _misfit(path, f"{name} is of shape {found.get_shape()}, expected {list(shape)}")
            if found.get_dtype() not in DTYPES:
                raise BrokenData(
                    f"{path}: {name} holds {found.get_dtype()}, and luodi reads {', '.join(DTYPES)}: choose a "
                    "checkpoint that is not quantized"
                )
    layers = family.layer.partition("{")[0]
    more = sorted(name for name in names if name.startswith(layers) and not name.endswith(family.ignored))
    if more := [name for name in more if name not in shapes]:
        raise _misfit(path, f"it holds {shown(more[0], 100)} too")
    name = max(shapes, key=lambda one: math.prod(shapes[one]))
    if (size := 4 * math.prod(shapes[name])) > LARGEST:
        raise BrokenData(f"{path}: {name} alone holds {size / 1e9:.1f} GB as float32, expected at most "
                         f"{LARGEST / 1e9:.1f}: choose a smaller encoder")  # fmt: skip


def _misfit(path: Path, why: str) -> BrokenData:
    return BrokenData(
        f"{path} is not of the model that {CONFIG} beside it describes: {why}; get both of the same checkpoint"
    )


@contextmanager
def _opened(folder: Path, family: Family) -> Iterator[dict[str, Any]]:
    """The open file that each tensor is in, by the tensor's name."""
    with ExitStack() as stack:
        if _held(folder) in PRESETS:
            arrays = stack.enter_context(preset.opened(folder, family))
            yield dict.fromkeys(arrays.keys(), arrays)
            return
        if (folder / WEIGHTS).is_file():
            file = stack.enter_context(_file(folder / WEIGHTS))
            yield dict.fromkeys(file.keys(), file)
            return
        parts = _parts(folder)
        files = {name: stack.enter_context(_file(folder / name)) for name in sorted(set(parts.values()))}
        held = {name: set(file.keys()) for name, file in files.items()}
        for tensor, name in parts.items():
            if tensor not in held[name]:
                raise _lies_of(folder, f"{shown(tensor, 100)} is not in {shown(name, 60)}")
        yield {tensor: files[name] for tensor, name in parts.items()}


def _file(path: Path) -> Any:
    """A file of weights, of which the header was read and found true: no tensor overlaps another or leaves the file."""
    from safetensors import SafetensorError, safe_open

    lfs.require_content(path, BrokenData)
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise BrokenData(
            f"{path} cannot be read ({error}): it did not come whole, or is no safetensors; get it again"
        ) from None


def _parts(folder: Path) -> dict[str, str]:
    """Which file beside the index each tensor is in."""
    found = untrusted.json_object(folder / INDEX).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise _lies_of(folder, "it has no weight_map")
    for name in found.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise _lies_of(folder, f"{shown(repr(name), 60)} is no file of weights beside it")
        if not (folder / name).is_file():
            raise MissingData(f"{folder} holds no {shown(name, 60)}, which {INDEX} names: get all parts of the weights")
    return found


def _lies_of(folder: Path, why: str) -> BrokenData:
    return BrokenData(f"{folder / INDEX} cannot be right: {why}; get it and the weights of the same checkpoint again")


def _named(names: Mapping[str, Any], family: Family) -> dict[str, str]:
    """From a tensor's plain name to that in the file: without what a head puts before it, and by today's words."""
    found = {}
    for name in names:
        plain = name
        for prefix in family.prefixes:
            plain = plain.removeprefix(prefix)
        found[plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = name
    return found


def _float32(file: Any, name: str) -> NDArray[np.float32]:
    import ml_dtypes  # noqa: F401, gives NumPy the type of BF16

    return np.ascontiguousarray(file.get_tensor(name), np.float32)


def _length(folder: Path, most: int) -> int:
    """Tokens that the checkpoint was made for: what its own files say, at most as many as it has positions."""
    if most < 4:
        raise _lies(folder, f"it leaves {most} positions for the tokens of a text")
    said = [
        untrusted.json_object(folder / name).get(key)
        for name, key in (
            (sentences.SETTINGS, "max_seq_length"),
            (tokens.SETTINGS, "model_max_length"),
        )
        if (folder / name).is_file()
    ]
    said.append(preset.said(folder, preset.PREPROCESSOR, "sequence_length"))
    return next((min(one, most) for one in said if isinstance(one, int) and one >= 4), most)
