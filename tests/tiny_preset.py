"""A small preset as KerasHub writes it, of the weights and the tokens of `tiny_encoder`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tiny_encoder
from numpy.typing import NDArray

from luodi.pretrained import preset

Change = Callable[[Path], object]
"""What is done to the folder of a preset."""

BACKBONES = {
    "bert": "BertBackbone", "distilbert": "DistilBertBackbone", "roberta": "RobertaBackbone", "gpt2": "GPT2Backbone"
}  # fmt: skip
PARTS = ("query_dense", "key_dense", "value_dense", "output_dense")
SPECIAL = {"roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "gpt2": ["<|endoftext|>"]}


def in_weights(change: Callable[[Any], object]) -> Change:
    """Change what the file of weights holds."""

    def changed(folder: Path) -> None:
        with h5py.File(folder / preset.WEIGHTS, "a") as file:
            change(file)

    return changed


def write(folder: Path, family: str = "bert") -> Path:
    """Write config.json, tokenizer.json, its assets and model.weights.h5; return the folder."""
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    known = _tokens(folder / "assets" / "tokenizer", family)
    heads, layers, inner = tiny_encoder.HEADS, tiny_encoder.LAYERS, tiny_encoder.INNER
    config = {
        "name": "backbone", "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}},
        "vocabulary_size": known, "num_layers": layers, "num_heads": heads, "hidden_dim": tiny_encoder.WIDTH,
        "intermediate_dim": 4 * tiny_encoder.WIDTH if family == "gpt2" else inner, "dropout": 0.1,
        "max_sequence_length": tiny_encoder.POSITIONS, **({"num_segments": 2} if family == "bert" else {}),
    }  # fmt: skip
    written(folder / "config.json", BACKBONES[family], config)
    pieces = {
        "vocabulary": None,
        "lowercase": True,
        "strip_accents": True,
        "split": True,
        "suffix_indicator": "##",
        "oov_token": "[UNK]",
    }
    written(
        folder / "tokenizer.json",
        BACKBONES[family].replace("Backbone", "Tokenizer"),
        {"add_prefix_space": False} if family in SPECIAL else pieces,
    )
    with h5py.File(folder / "model.weights.h5", "w") as file:
        for path, array in arrays(family, known).items():
            file[path] = array
    return folder


def written(path: Path, kind: str, config: dict[str, Any]) -> None:
    """Write an object as Keras serializes it."""
    path.write_text(json.dumps({"class_name": kind, "config": config, "registered_name": f"keras_hub>{kind}"}))


def _tokens(folder: Path, family: str) -> int:
    """Write the vocabulary; return how many tokens it has."""
    if family not in SPECIAL:
        (folder / "vocabulary.txt").write_text("".join(f"{one}\n" for one in tiny_encoder.VOCABULARY), "utf-8")
        return len(tiny_encoder.VOCABULARY)
    model = json.loads(tiny_encoder.of_bytes().to_str())["model"]
    tokens = SPECIAL[family] + [one for one in model["vocab"] if one not in SPECIAL[family]]
    (folder / "vocabulary.json").write_text(json.dumps({one: place for place, one in enumerate(tokens)}), "utf-8")
    (folder / "merges.txt").write_text("".join(f"{' '.join(one)}\n" for one in model["merges"]), "utf-8")
    return len(tokens)


def tensors(family: str, tokens: int) -> dict[str, NDArray[np.float32]]:
    """Those of `tiny_encoder`, with a vector for each token."""
    found = tiny_encoder.tensors(family)
    name = "wte.weight" if family == "gpt2" else "embeddings.word_embeddings.weight"
    return found | {name: np.resize(found[name], (tokens, tiny_encoder.WIDTH))}


def arrays(family: str, tokens: int) -> dict[str, NDArray[np.float32]]:
    """The same numbers where KerasHub has them: heads on an axis of their own, matrices [in, out]."""
    known, decoder = tensors(family, tokens), family == "gpt2"
    words, places, norm = (
        ("wte", "wpe", "ln_f")
        if decoder
        else (f"embeddings.{one}" for one in ("word_embeddings", "position_embeddings", "LayerNorm"))
    )
    together = "token_and_position_embedding/" if family in ("distilbert", "roberta") else ""
    found = {
        f"{together or 'reversible_'}{'token_' if together else ''}embedding/vars/0": known[f"{words}.weight"],
        f"{together}position_embedding/vars/0": known[f"{places}.weight"],
        "layer_normalization/vars/0": known[f"{norm}.weight"],
        "layer_normalization/vars/1": known[f"{norm}.bias"],
    }
    if family == "bert":
        found["embedding/vars/0"] = known["embeddings.token_type_embeddings.weight"]
        found["dense/vars/0"] = np.zeros((tiny_encoder.WIDTH,) * 2, np.float32)  # of its first token, not read
        found["dense/vars/1"] = np.zeros(tiny_encoder.WIDTH, np.float32)
    for layer in range(tiny_encoder.LAYERS):
        group = f"transformer_{'decoder' if decoder else 'encoder'}{f'_{layer}' if layer else ''}"
        found |= {f"{group}/{name}": array for name, array in _layer(known, family, layer).items()}
    return {f"layers/{name}": array for name, array in found.items()}


def _layer(known: dict[str, NDArray[np.float32]], family: str, layer: int) -> dict[str, NDArray[np.float32]]:
    each: list[tuple[Any, Any]] = []
    if family == "gpt2":
        name = f"h.{layer}.attn.c_attn"
        each += zip(np.split(known[f"{name}.weight"], 3, 1), np.split(known[f"{name}.bias"], 3), strict=True)
        names = [f"h.{layer}.{one}" for one in ("attn.c_proj", "ln_1", "mlp.c_fc", "mlp.c_proj", "ln_2")]
        each += [(known[f"{name}.weight"], known[f"{name}.bias"]) for name in names]
    else:
        each += [(known[f"{name}.weight"].T, known[f"{name}.bias"]) for name in tiny_encoder.parts(family, layer)]
    heads, width = tiny_encoder.HEADS, tiny_encoder.WIDTH
    apart = (width, heads, width // heads)
    each[:3] = [(weight.reshape(apart), bias.reshape(apart[1:])) for weight, bias in each[:3]]
    each[3] = (each[3][0].reshape(*apart[1:], width), each[3][1])
    ours = [f"_self_attention_layer/{part}" for part in PARTS]
    ours += ["_self_attention_layer_norm", "_feedforward_intermediate_dense", "_feedforward_output_dense",
             "_feedforward_layer_norm"]  # fmt: skip
    return {
        f"{name}/vars/{place}": array for name, both in zip(ours, each, strict=True) for place, array in enumerate(both)
    }
