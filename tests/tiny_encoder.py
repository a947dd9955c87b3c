"""A small checkpoint as Hugging Face's libraries write it, and its forward pass in NumPy, written apart from luodi's.

Its words are of two kinds, which their vectors tell apart; texts of other words of a kind teach it to a classifier on
the vectors, and hardly to one on n-grams.
"""

import json
import math
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH, INNER, HEADS, LAYERS, POSITIONS = 16, 24, 2, 2, 40
OFFSET = ("roberta", "xlm-roberta", "camembert")
"""Families whose positions begin behind the id that pads."""
Tensors = dict[str, NDArray[np.float32]]
ERF = np.vectorize(math.erf)


def words(kind: int, count: int = 200) -> list[str]:
    """Words of six letters."""
    draw = random.Random(kind)
    return ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(count)]


VOCABULARY = (*SPECIAL, *words(0), *words(1), *"abcdefghijklmnopqrstuvwxyz好书", *(f"##{one}" for one in "abcdefgh"))


def texts(rows: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts of four words of a kind, and which it is."""
    draw, known = random.Random(seed), (words(0), words(1))
    return [(" ".join(draw.choices(known[row % 2], k=4)), ("left", "right")[row % 2]) for row in range(rows)]


SCRIPTS = ((0x20, 0x7F), (0xC0, 0x250), (0x370, 0x400), (0x400, 0x500), (0x590, 0x600), (0x600, 0x700), (0x900, 0x980),
           (0xE00, 0xE60), (0x3040, 0x3100), (0x4E00, 0x9FD0), (0xAC00, 0xD7A0), (0x1F300, 0x1F650))  # fmt: skip
"""First and last letter of each, ten of them scripts, and what stands between."""


def odd(rows: int) -> list[str]:
    """Texts of letters of all scripts, with marks of HTML and what cannot be seen among them."""
    draw = random.Random(1)

    def one() -> str:
        some = [chr(draw.randrange(*draw.choice(SCRIPTS))) for _ in range(draw.randint(1, 12))]
        return "w" + "".join(letter + draw.choice(("", "", " ", "<b>", "&amp;", "\u200b")) for letter in some)

    return [one() for _ in range(rows)]


def write(folder: Path, family: str = "bert", **config: Any) -> Path:
    """Write config.json, tokenizer.json and model.safetensors; return the folder."""
    from tokenizers.implementations import BertWordPieceTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    known = {token: place for place, token in enumerate(VOCABULARY)}
    tokenizer = of_bytes() if family == "gpt2" else BertWordPieceTokenizer(known, lowercase=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(settings(family) | config), encoding="utf-8")
    save_file(tensors(family), folder / "model.safetensors")
    return folder


@cache
def of_bytes() -> Any:
    """A tokenizer as GPT-2 has it, to which each word is one token."""
    from tokenizers.implementations import ByteLevelBPETokenizer

    found = ByteLevelBPETokenizer(add_prefix_space=True)
    found.train_from_iterator([*words(0), *words(1)], 4000, 1, show_progress=False, special_tokens=["<|endoftext|>"])
    return found


def settings(family: str) -> dict[str, Any]:
    if family == "gpt2":
        return {
            "model_type": family, "vocab_size": of_bytes().get_vocab_size(), "n_positions": POSITIONS,
            "n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "n_inner": None, "eos_token_id": 0,
        }  # fmt: skip
    found = {
        "model_type": family,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
    }
    if family == "distilbert":
        return found | {"n_layers": LAYERS, "n_heads": HEADS, "dim": WIDTH, "hidden_dim": INNER, "activation": "gelu"}
    return found | {
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": WIDTH, "intermediate_size": INNER,
        "hidden_act": "gelu", "type_vocab_size": 2, "layer_norm_eps": 1e-5,
    }  # fmt: skip


def parts(family: str, layer: int) -> list[str]:
    """Query, key, value, join, norm, inner, outer, norm of a layer, by the names of that family."""
    if family == "distilbert":
        own = ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
               "ffn.lin1", "ffn.lin2", "output_layer_norm")  # fmt: skip
        return [f"transformer.layer.{layer}.{one}" for one in own]
    own = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
           "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")  # fmt: skip
    return [f"encoder.layer.{layer}.{one}" for one in own]


def tensors(family: str) -> Tensors:
    if family == "gpt2":
        return decoder_tensors()
    rng = np.random.default_rng(7)

    def draw(*shape: int, scale: float = 0.2) -> NDArray[np.float32]:
        return rng.normal(0, scale, shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": draw(len(VOCABULARY), WIDTH, scale=1),
        "embeddings.position_embeddings.weight": draw(POSITIONS, WIDTH),
        "embeddings.LayerNorm.weight": 1 + draw(WIDTH),
        "embeddings.LayerNorm.bias": draw(WIDTH),
    }
    kinds = np.repeat([1, -1], 200).astype(np.float32)
    found["embeddings.word_embeddings.weight"][len(SPECIAL) :][:400, 0] = 4 * kinds
    if family != "distilbert":
        found["embeddings.token_type_embeddings.weight"] = draw(2, WIDTH)
    square, flat = (WIDTH, WIDTH), (WIDTH,)
    shapes = (square, square, square, square, flat, (INNER, WIDTH), (WIDTH, INNER), flat)
    for layer in range(LAYERS):
        for name, shape in zip(parts(family, layer), shapes, strict=True):
            found[f"{name}.weight"] = draw(*shape) if len(shape) > 1 else 1 + draw(*shape)
            found[f"{name}.bias"] = draw(shape[0])
    return found


def decoder_tensors() -> Tensors:
    rng, known = np.random.default_rng(7), of_bytes().get_vocab()
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (len(known), WIDTH), "wpe.weight": (POSITIONS, WIDTH)}
    for layer in range(LAYERS):
        for name, inner, outer in (
            ("attn.c_attn", 1, 3),
            ("attn.c_proj", 1, 1),
            ("mlp.c_fc", 1, 4),
            ("mlp.c_proj", 4, 1),
        ):
            shapes |= {
                f"h.{layer}.{name}.weight": (inner * WIDTH, outer * WIDTH),
                f"h.{layer}.{name}.bias": (outer * WIDTH,),
            }
    norms = ["ln_f", *(f"h.{layer}.ln_{one}" for layer in range(LAYERS) for one in (1, 2))]
    shapes |= {f"{name}.{kind}": (WIDTH,) for name in norms for kind in ("weight", "bias")}
    found = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        found[f"{name}.weight"] += 1
    for kind in (0, 1):
        found["wte.weight"][[known[f"Ġ{word}"] for word in words(kind)], 0] = 4 - 8 * kind
    return found


def decoded(given: list[int], *, pooling: str, config: Mapping[str, Any]) -> Any:
    """The vector of one text by GPT-2's forward pass."""
    weights, ids = tensors("gpt2"), given or [0]

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return (
            centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weights[f"{name}.weight"]
            + weights[f"{name}.bias"]
        )

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].astype(np.float64) + weights[f"{name}.bias"]

    x = weights["wte.weight"][ids].astype(np.float64) + weights["wpe.weight"][: len(ids)]
    for layer in range(LAYERS):
        found = np.zeros_like(x)
        query, key, value = np.split(linear(norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn.c_attn"), 3, -1)
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            for place in range(len(ids)):
                scores = np.exp(key[: place + 1, part] @ query[place, part] / math.sqrt(WIDTH / HEADS))
                found[place, part] = scores / scores.sum() @ value[: place + 1, part]
        x = x + linear(found, f"h.{layer}.attn.c_proj")
        hidden = linear(norm(x, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc")
        smooth = hidden * (1 + np.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3))) / 2
        hidden = np.maximum(hidden, 0) if config.get("activation_function") == "relu" else smooth
        x = x + linear(hidden, f"h.{layer}.mlp.c_proj")
    x = norm(x, "ln_f")
    return {"mean": x.mean(0) if given else 0 * x[0], "cls": x[0], "last": x[-1]}[pooling]


def vector(family: str, ids: list[int], *, pooling: str = "mean", config: Mapping[str, Any] | None = None) -> Any:
    """The vector of one text by its ids, nothing padded, float64 [width]."""
    if family == "gpt2":
        return decoded(ids, pooling=pooling, config=config or {})
    config, weights = settings(family) | dict(config or {}), tensors(family)
    epsilon = config.get("layer_norm_eps", 1e-12)

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]

    first = config["pad_token_id"] + 1 if family in OFFSET else 0
    x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + weights["embeddings.position_embeddings.weight"][first : first + len(ids)]
    if family != "distilbert":
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        query, key, value, join, norm_1, inner, outer, norm_2 = parts(family, layer)
        heads = []
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            q, k, v = (linear(x, name)[:, part] for name in (query, key, value))
            scores = np.exp(q @ k.T / math.sqrt(WIDTH / HEADS))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v)
        x = norm(x + linear(np.concatenate(heads, -1), join), norm_1)
        hidden = linear(x, inner)
        relu = "relu" in (config.get("hidden_act"), config.get("activation"))
        hidden = np.maximum(hidden, 0) if relu else hidden * (1 + ERF(hidden / math.sqrt(2))) / 2
        x = norm(x + linear(hidden, outer), norm_2)
    return {"mean": x.mean(0), "cls": x[0], "last": x[-1]}[pooling]
