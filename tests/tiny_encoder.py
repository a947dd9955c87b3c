"""A small checkpoint as Hugging Face's libraries write it, and its forward pass in NumPy, written apart from luodi's.

Its words are of two kinds, which their vectors tell apart; texts of other words of a kind teach it to a classifier on
the vectors, and hardly to one on n-grams.
"""

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH, INNER, HEADS, LAYERS, POSITIONS = 16, 24, 2, 2, 40
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


def write(folder: Path, family: str = "bert", **config: Any) -> Path:
    """Write config.json, tokenizer.json and model.safetensors; return the folder."""
    from tokenizers.implementations import BertWordPieceTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    known = {token: place for place, token in enumerate(VOCABULARY)}
    (folder / "tokenizer.json").write_text(BertWordPieceTokenizer(known, lowercase=True).to_str(), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(settings(family) | config), encoding="utf-8")
    save_file(tensors(family), folder / "model.safetensors")
    return folder


def settings(family: str) -> dict[str, Any]:
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


def vector(family: str, ids: list[int], *, pooling: str = "mean", config: Mapping[str, Any] | None = None) -> Any:
    """The vector of one text by its ids, nothing padded, float64 [width]."""
    config, weights = settings(family) | dict(config or {}), tensors(family)
    epsilon = config.get("layer_norm_eps", 1e-12)

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]

    first = config["pad_token_id"] + 1 if "roberta" in family else 0
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
    return x[0] if pooling == "cls" else x.mean(0)
