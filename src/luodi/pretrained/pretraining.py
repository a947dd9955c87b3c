"""Pretrain an encoder of texts from nothing: it learns to tell hidden tokens by those around them.

Devlin and others, "BERT" (2018): of each text 15% of the tokens are asked for, of which 80% are hidden, 10% another
token, and 10% as they are. What comes of it is a folder as Hugging Face's libraries write it.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from safetensors.numpy import save

from luodi.config import TextTrain
from luodi.data import subwords, unlabelled
from luodi.errors import WrongValue
from luodi.files import private_folder, replacing, replacing_folder, write_json, write_text
from luodi.nets import training
from luodi.pretrained import checkpoint, graph, tokens
from luodi.pretrained.graph import PARTS, Form, Weights
from luodi.pretrained.network import Embedded, Layer, Parts
from luodi.terminal import shown

ASKED, HIDDEN, CHANGED = 0.15, 0.8, 0.1  # shares: of the tokens of a text, and of those asked for
DEVIATION = 0.02  # of the first weights
HEAD = 32  # values of a head
INNER = 4  # times the width
ROUND = 500  # steps after which what was learned is kept
WARMUP, CLIP, DROPOUT, DECAY = 0.1, 1.0, 0.1, 0.01
PLAN, STATE = "plan.json", "state.npz"


@dataclass(frozen=True)
class Plan:
    """What is pretrained, and how.

    Attributes:
        width: Values of a vector, a multiple of `HEAD`.
        length: Tokens that it reads of a text.
        vocabulary: Tokens known, at most.
        epochs: Rounds over all texts.
        batch: Texts of a step.
        rate: Highest learning rate.
    """

    layers: int = 4
    width: int = 128
    length: int = 64
    vocabulary: int = 8000
    epochs: int = 5
    batch: int = 64
    rate: float = 0.001
    seed: int = 7

    @property
    def form(self) -> Form:
        """What the encoder computes."""
        return Form(self.layers, self.width // HEAD, self.width, "gelu", 1e-12, 0, "mean")

    @property
    def asked(self) -> int:
        """Tokens asked for of the longest text."""
        return max(1, round(ASKED * self.length))


def run(folder: Path, texts: Sequence[str], plan: Plan, licence: str | None = None) -> str:
    """Pretrain on clean texts, and write what came of it into `folder`; return that in words.

    What was learned is kept beside it, round by round: doing the same again goes on from there, to the same bytes.

    Raises:
        WrongValue: There is such a folder already, or one half done by another plan or of other texts.
    """
    if folder.exists():
        raise WrongValue(f"{folder} exists: move it away, or choose another folder for the encoder")
    work, known = folder.with_name(f".{folder.name}.pretraining"), _known(texts, plan)
    private_folder(work)
    if not (work / PLAN).exists():
        write_json(work / PLAN, known)
    if json.loads((work / PLAN).read_text(encoding="utf-8")) != known:
        raise WrongValue(
            f"{work} is of a pretraining that was ended, of other texts or settings: ask for the same again, and it "
            "goes on; or remove that folder"
        )
    training.make_deterministic(plan.seed)
    tokenizer = _tokenizer(work, texts, plan)
    model, told = _trained(work, tokenizer, texts, plan)
    weights: Weights = model.get_layer("embedded").merged()
    for layer in range(plan.layers):
        weights |= model.get_layer(f"layer_{layer}").merged()
    _write(folder, plan, weights, tokenizer, licence)
    shutil.rmtree(work)
    return f"{folder}: bert, {sum(one.size for one in weights.values()):,} weights; {told}"


def _known(texts: Sequence[str], plan: Plan) -> dict[str, Any]:
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode() + b"\n")
    return {**asdict(plan), "texts": digest.hexdigest()}


def _tokenizer(work: Path, texts: Sequence[str], plan: Plan) -> str:
    """The tokenizer, of an earlier try if there is one."""
    path = work / subwords.TOKENIZER
    if not path.exists():
        write_text(path, unlabelled.tokenizer(texts, plan.vocabulary))
    return path.read_text(encoding="utf-8")


def _trained(work: Path, tokenizer: str, texts: Sequence[str], plan: Plan) -> tuple[keras.Model, str]:
    encoder = subwords.Encoder((), plan.length, plan.form.pad, tokenizer)
    rows = encoder.ids(texts)
    held = max(1, min(len(rows) // 20, 2000))
    order = np.random.default_rng(plan.seed).permutation(len(rows))
    mask = unlabelled.SPECIAL.index("[MASK]")
    train, judged = (Masked([rows[place] for place in part], plan, encoder.size, mask)
                     for part in (order[held:], order[:held]))  # fmt: skip
    parts = Parts(_settings(plan), plan.form, _first(plan, encoder.size))
    model = build(parts, plan)
    rounds = plan.epochs * train.rounds
    _compile(model, plan, rounds * len(train))
    kept = Kept(work / STATE)
    model.fit(
        train,
        validation_data=judged,
        initial_epoch=kept.restored(model),
        epochs=rounds,
        shuffle=False,
        verbose=0,
        callbacks=[
            kept,
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda at, logs: train.begin(at), on_epoch_end=_tell(rounds)),
        ],
    )
    found = model.evaluate(judged, verbose=0, return_dict=True)
    return model, f"of the hidden tokens of texts that it did not learn from it tells {found['accuracy']:.1%}"


class Kept(keras.callbacks.Callback):
    """Keeps all that a round changed, with the states of what draws by chance, which Keras' own backup leaves out."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def restored(self, model: keras.Model) -> int:
        """Bring a compiled model to where an earlier try stood; return how many rounds that had ended."""
        if not self.path.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        with np.load(self.path) as found:
            for place, one in enumerate(_changing(model)):
                one.assign(found[str(place)])
            return int(found["rounds"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        arrays = {str(place): ops.convert_to_numpy(one) for place, one in enumerate(_changing(self.model))}
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, rounds=np.array(epoch + 1), **arrays)


def _changing(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _tell(rounds: int) -> Any:
    def tell(at: int, logs: Any) -> None:
        print(f"pretrain: round {at + 1}/{rounds}: accuracy {logs['accuracy']:.4f}, "
              f"val_accuracy {logs['val_accuracy']:.4f}, val_loss {logs['val_loss']:.4f}", flush=True)  # fmt: skip

    return tell


def _settings(plan: Plan) -> TextTrain:
    return TextTrain(
        architecture="pretrained", encoder="new", tuning="full", layer_decay=1.0, dropout=DROPOUT, seed=plan.seed
    )


def _first(plan: Plan, vocabulary: int) -> Weights:
    rng, width, inner = np.random.default_rng(plan.seed), plan.width, INNER * plan.width

    def draw(*shape: int) -> NDArray[np.float32]:
        return (DEVIATION * rng.standard_normal(shape)).astype(np.float32)

    def norm(name: str) -> Weights:
        return {f"{name}.weight": np.ones(width, np.float32), f"{name}.bias": np.zeros(width, np.float32)}

    found: Weights = {"words": draw(vocabulary, width), "places": draw(plan.length, width), **norm("embedding_norm")}
    for layer in range(plan.layers):
        for part in PARTS:
            if part.endswith("norm"):
                found |= norm(f"{layer}.{part}")
                continue
            shape = {"inner": (width, inner), "outer": (inner, width)}.get(part, (width, width))
            found |= {f"{layer}.{part}.weight": draw(*shape), f"{layer}.{part}.bias": np.zeros(shape[1], np.float32)}
    return found


def build(parts: Parts, plan: Plan) -> keras.Model:
    """Return a model from ids int32 [batch, length] and the places that are asked for, int32 [batch, asked], to the
    logits of all tokens there, float32 [batch, asked, vocabulary]."""
    ids = keras.Input((plan.length,), dtype="int32", name="ids")
    places = keras.Input((plan.asked,), dtype="int32", name="places")
    embedded = Embedded(parts, name="embedded")
    hidden, mask = embedded(ids)
    for layer in range(plan.layers):
        hidden = Layer(parts, layer, name=f"layer_{layer}")(hidden, mask)
    logits = Asked(lambda: embedded.value("words"), len(parts.weights["words"]), name="asked")(hidden, places)
    return keras.Model([ids, places], logits)


class Asked(keras.layers.Layer):
    """The logits of all tokens at some places: a token is told by the vector that stands for it when it is read."""

    def __init__(self, words: Any, vocabulary: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.words = words
        self.bias = self.add_weight((vocabulary,), initializer="zeros", name="bias")

    def call(self, hidden: Any, places: Any) -> Any:
        """Keras calls this."""
        width = hidden.shape[-1]
        there = ops.repeat(ops.expand_dims(places, -1), width, axis=-1)
        picked = ops.take_along_axis(hidden, there, axis=1)
        return ops.matmul(picked, ops.transpose(self.words())) + self.bias

    def compute_output_spec(self, hidden: Any, places: Any) -> Any:
        return keras.KerasTensor((*places.shape, self.bias.shape[0]), self.compute_dtype)


def _compile(model: keras.Model, plan: Plan, steps: int) -> None:
    rising = round(WARMUP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - rising, 1), warmup_target=plan.rate, warmup_steps=max(rising, 1)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    optimizer = keras.optimizers.AdamW(rate, weight_decay=DECAY, global_clipnorm=CLIP)
    model.compile(optimizer, loss, weighted_metrics=[accuracy], auto_scale_loss=False)


class Masked(keras.utils.PyDataset):
    """Batches of rows of ids, of which other tokens are asked for in each epoch; see `build`."""

    def __init__(self, rows: Sequence[Sequence[int]], plan: Plan, vocabulary: int, mask: int) -> None:
        super().__init__()
        self.rows, self.plan, self.vocabulary, self.mask = rows, plan, vocabulary, mask
        batches = -(-len(rows) // plan.batch)
        self.rounds = -(-batches // ROUND)
        self.steps = batches // self.rounds
        self.begin(0)

    def begin(self, at: int) -> None:
        """Go to that round; several are an epoch."""
        self.at = at
        order = np.random.default_rng([self.plan.seed, at // self.rounds]).permutation(len(self.rows))
        first = at % self.rounds * self.steps * self.plan.batch
        self.order = order[first : first + self.steps * self.plan.batch]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Any:
        rng, size = np.random.default_rng([self.plan.seed, self.at, index]), self.plan.batch
        rows = [self.rows[place] for place in self.order[index * size : (index + 1) * size]]
        ids = np.full((len(rows), self.plan.length), self.plan.form.pad, np.int32)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        length = np.array([[len(row)] for row in rows])
        column = np.arange(self.plan.length)
        chance = np.where((column > 0) & (column < length - 1), rng.random(ids.shape), 2)  # not what begins and ends it
        places = np.argsort(chance, 1, kind="stable")[:, : self.plan.asked].astype(np.int32)
        asked = np.clip(np.rint(ASKED * (length - 2)), 1, self.plan.asked)
        weight = (np.arange(self.plan.asked) < asked) & (np.take_along_axis(chance, places, 1) < 2)
        answers = np.take_along_axis(ids, places, 1)
        draw = rng.random(places.shape)
        other = rng.integers(len(unlabelled.SPECIAL), self.vocabulary, places.shape)
        given = np.where(draw < HIDDEN, self.mask, np.where(draw < HIDDEN + CHANGED, other, answers))
        np.put_along_axis(ids, places, np.where(weight, given, answers).astype(np.int32), 1)
        return (ids, places), answers, weight.astype(np.float32)


def _write(folder: Path, plan: Plan, weights: Weights, tokenizer: str, licence: str | None) -> None:
    config = {
        "model_type": "bert", "vocab_size": len(weights["words"]), "num_hidden_layers": plan.layers,
        "num_attention_heads": plan.form.heads, "hidden_size": plan.width, "intermediate_size": INNER * plan.width,
        "hidden_act": plan.form.activation, "max_position_embeddings": plan.length, "type_vocab_size": 1,
        "pad_token_id": plan.form.pad, "layer_norm_eps": plan.form.epsilon,
    }  # fmt: skip
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as temporary:
        write_json(temporary / checkpoint.CONFIG, config)
        write_text(temporary / tokens.TOKENIZER, tokenizer)
        tensors = graph.tensors(plan.form, weights, checkpoint.FAMILIES["bert"])
        (temporary / checkpoint.WEIGHTS).write_bytes(save(tensors))
        if licence:
            write_text(temporary / "README.md", f"---\nlicense: {shown(licence, 100)}\n---\n")
