"""What Keras reads rows from: `Batches`, or a dataset of TensorFlow that gives the same ones without Python."""

from collections.abc import Iterator
from typing import Any

import keras

from luodi.nets.batches import Batches

HELD = 2**27  # bytes of rows that are copied into memory, less than TensorFlow itself takes; more stay on disk


def of(batches: Batches) -> Any:
    """Return what gives the same batches in the same order, and takes the least time for them.

    Each batch that passes through Python costs a step of a small network a tenth of its time (benchmarks/training.md).
    """
    plain = batches.parts == batches.devices == batches.hosts == 1 and batches.augment is None
    if keras.backend.backend() != "tensorflow" or not plain or batches.x.nbytes > HELD:
        return batches
    import tensorflow as tf

    with tf.device("CPU"):
        x, y = tf.constant(batches.x), tf.constant(batches.y)

    def order() -> Iterator[Any]:  # asked for as each epoch begins
        yield batches.order[batches.first * batches.batch_size :]

    def gather(rows: Any) -> tuple[Any, Any]:
        labels = tf.gather(y, rows)
        return tf.gather(x, rows), labels if len(y.shape) > 1 else tf.one_hot(labels, batches.classes)

    def divided(order: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices(order).batch(batches.batch_size)

    orders = tf.data.Dataset.from_generator(order, output_signature=tf.TensorSpec((None,), tf.int64))
    unconverted = (
        tf.autograph.experimental.do_not_convert
    )  # or it would write Python of its own into a file, for nothing
    found = orders.flat_map(unconverted(divided)).map(unconverted(gather))
    return found.prefetch(tf.data.AUTOTUNE).apply(tf.data.experimental.assert_cardinality(len(batches)))
