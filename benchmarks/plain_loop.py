"""A pretrained encoder trained whole by luodi, and by KerasHub's plain loop: seconds of a processor, and peak memory.

    python benchmarks/plain_loop.py luodi --data DIR --encoder DIR
    python benchmarks/plain_loop.py kerashub --data DIR --encoder DIR

Both train a network of the same sizes on the same batches of texts of like lengths, KerasHub's padded no further than
the longest of each: BertBackbone, the mean of its tokens, softmax, `compile` with Adam and the same clipping, `fit`.
The first epoch compiles and is left out; validation rows are one batch. The second line wants keras-hub and
tensorflow-text in an environment of its own, beside luodi.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import encoders
import keras
import numpy as np
from numpy.typing import NDArray

from luodi import config
from luodi.config import TextTrain
from luodi.data import subwords
from luodi.nets import batches, training
from luodi.pretrained import checkpoint, graph, network
from luodi.pretrained.checkpoint import Checkpoint
from luodi.pretrained.head import Head, Standard

SETTINGS: TextTrain = config.TextTrain(architecture="pretrained", encoder="tried", tuning="full", patience=99)
Ids = NDArray[np.int32]


def read(options: argparse.Namespace) -> tuple[Checkpoint, Ids, Ids, int]:
    """The encoder; ids of texts, classes of them, and how many classes there are."""
    found = checkpoint.read(options.encoder)
    rows = encoders.drawn(encoders.clinc150(options.data, "train"), None, 0)[: options.rows]
    labels = sorted({label for _, label in rows})
    encoder = subwords.Encoder((), found.length, found.pad, found.tokenizer)
    ids = subwords.padded(encoder.ids([text for text, _ in rows]), found.pad)
    return found, ids, np.array([labels.index(label) for _, label in rows], np.int32), len(labels)


def trimmed(rows: batches.Batches, pad: int) -> Any:
    """The same batches as KerasHub wants them, by tf.data."""
    import tensorflow as tf

    def drawn() -> Iterator[Any]:
        for index in range(len(rows)):
            x, y = rows[index]
            x = x[:, : max(int((x != pad).sum(1).max()), 1)]
            seen = (x != pad).astype(np.int32)
            yield {"token_ids": x, "padding_mask": seen, "segment_ids": np.zeros_like(x)}, y
        rows.on_epoch_end()

    ids = tf.TensorSpec((None, None), tf.int32)
    kinds = dict.fromkeys(("token_ids", "padding_mask", "segment_ids"), ids), tf.TensorSpec((None, rows.classes))
    return tf.data.Dataset.from_generator(drawn, output_signature=kinds).prefetch(1)


def luodi(
    found: Checkpoint, rows: batches.Batches, held: batches.Batches, settings: TextTrain, ends: list[float]
) -> None:
    classes = rows.classes
    flat = Standard(np.zeros(found.width, np.float32), np.float32(1))
    head = Head(flat, np.zeros((found.width, classes), np.float32), np.zeros(classes, np.float32))
    model = network.build(settings, graph.form(found), graph.weights(found, found.tensors()), head)
    training.compile_model(model, settings, classes, len(rows))
    training.fit(model, settings, rows, held, watch=lambda _: ends.append(time.process_time()))


def kerashub(
    found: Checkpoint, rows: batches.Batches, held: batches.Batches, settings: TextTrain, ends: list[float]
) -> None:
    import keras_hub  # type: ignore[import-not-found, unused-ignore]  # in an environment of its own

    shapes = found.shapes
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=shapes["embeddings.word_embeddings.weight"][0], num_layers=found.layers, num_heads=found.heads,
        hidden_dim=found.width, intermediate_dim=shapes["encoder.layer.0.intermediate.dense.weight"][0],
        dropout=settings.dropout, max_sequence_length=shapes["embeddings.position_embeddings.weight"][0],
    )  # fmt: skip
    tokens, mask = backbone.output["sequence_output"], keras.ops.cast(backbone.input["padding_mask"], "float32")
    mean = keras.ops.sum(tokens * mask[..., None], 1) / keras.ops.sum(mask, 1, keepdims=True)
    model = keras.Model(backbone.input, keras.layers.Dense(rows.classes, "softmax")(mean))
    adam = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
    model.compile(adam, "categorical_crossentropy", metrics=["accuracy"])
    ended = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.process_time()))
    given = [trimmed(one, found.pad) for one in (rows, held)]
    model.fit(given[0], validation_data=given[1], epochs=settings.epochs, verbose=0, callbacks=[ended])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("luodi", "kerashub"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    settings = SETTINGS.model_copy(update={"epochs": options.epochs})
    found, x, y, classes = read(options)
    size, ends = settings.batch_size, [time.process_time()]
    lengths = (x != found.pad).sum(1)
    training.make_deterministic(settings.seed)
    rows = batches.Batches(x, y, classes, size, settings.seed, lengths=lengths)
    held = batches.Batches(x[:size], y[:size], classes, size)
    {"luodi": luodi, "kerashub": kerashub}[options.side](found, rows, held, settings, ends)
    taken = np.diff(ends)[1:] / len(rows)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{options.side}: {np.median(taken):.3f} s of a processor a step (each epoch: "
          f"{', '.join(f'{one:.3f}' for one in taken)}), {memory:.2f} GiB at most")  # fmt: skip


if __name__ == "__main__":
    main()
