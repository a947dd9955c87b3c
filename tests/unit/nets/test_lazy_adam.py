"""Lazy Adam: what it moves and what it leaves, beside Keras' Adam and a plain one in NumPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi import config
from luodi.nets.stderr import quiet

with quiet():
    import keras
    import tensorflow as tf

    from luodi.nets import batches, training
    from luodi.nets.lazy_adam import LazyAdam

pytestmark = pytest.mark.slow

ROWS, WIDTH, RATE = 12, 3, 0.01
IDS = st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=20)


def start() -> np.ndarray:
    table: np.ndarray = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    return table


def gradient(ids: list[int], seed: int) -> tf.IndexedSlices:
    """Values none of which is zero, for rows that may be named more than once."""
    values = np.random.default_rng(seed).normal(size=(len(ids), WIDTH)).astype(np.float32)
    return tf.IndexedSlices(tf.constant(values), tf.constant(ids), tf.constant([ROWS, WIDTH]))


def after(optimizer: Any, gradients: list[Any]) -> list[np.ndarray]:
    """The table and both moments once a new `optimizer` has applied the gradients, a step each."""
    table = keras.Variable(start())
    for one in gradients:
        optimizer.apply_gradients([(one, table)])
    return [one.numpy() for one in (table, optimizer._momentums[0], optimizer._velocities[0])]


def by_hand(gradients: list[tf.IndexedSlices]) -> list[np.ndarray]:
    """Adam by Kingma and Ba (2015), end of section 2, in which rows that a gradient does not name stand still."""
    table = start().astype(float)
    first, second = np.zeros_like(table), np.zeros_like(table)
    for step, one in enumerate(gradients, 1):
        dense, rows = np.zeros_like(table), np.unique(one.indices)
        np.add.at(dense, one.indices.numpy(), one.values.numpy())
        first[rows] = 0.9 * first[rows] + 0.1 * dense[rows]
        second[rows] = 0.999 * second[rows] + 0.001 * dense[rows] ** 2
        rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        table[rows] -= rate * first[rows] / (np.sqrt(second[rows]) + 1e-7)
    return [table, first, second]


@settings(max_examples=20)
@given(st.lists(IDS, min_size=1, max_size=4), st.integers(0, 1000))
def test_untouched_rows_keep_their_bytes_and_the_others_move_as_adam_says(steps: list[list[int]], seed: int) -> None:
    gradients = [gradient(ids, seed + step) for step, ids in enumerate(steps)]
    found = after(LazyAdam(RATE), gradients)
    untouched = sorted(set(range(ROWS)) - {one for ids in steps for one in ids})
    assert found[0][untouched].tobytes() == start()[untouched].tobytes()
    assert not found[1][untouched].any() and not found[2][untouched].any()
    for one, expected in zip(found, by_hand(gradients), strict=True):
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("decayed", [False, True])
def test_it_is_adam_where_every_batch_touches_every_row(decayed: bool) -> None:
    rate = keras.optimizers.schedules.CosineDecay(RATE, 5) if decayed else RATE
    gradients = [gradient([*range(ROWS), *range(0, ROWS, 2)], seed) for seed in range(5)]
    dense = [
        tf.convert_to_tensor(one) for one in gradients
    ]  # of sparse ones Keras' Adam adds the squares, not the values
    for one, other in zip(after(LazyAdam(rate), gradients), after(keras.optimizers.Adam(rate), dense), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def test_a_dense_gradient_gets_plain_adam_to_the_bit() -> None:
    gradients = [tf.convert_to_tensor(gradient([1, 2, 2], seed)) for seed in range(3)]
    for one, other in zip(after(LazyAdam(RATE), gradients), after(keras.optimizers.Adam(RATE), gradients), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_row_of_gradient_zero_stands_still() -> None:
    """What a batch pads with is looked up, and weighs nothing."""
    padded = gradient([0, 0, 1, 2], 3)
    padded = tf.IndexedSlices(padded.values * [[0.0], [0.0], [1.0], [1.0]], padded.indices, padded.dense_shape)
    moved = [(one != other).any(1) for one, other in zip(after(LazyAdam(RATE), [padded]), [start(), 0, 0], strict=True)]
    for one in moved:
        assert np.flatnonzero(one).tolist() == [1, 2]


def fitted(precision: str, optimizer: str = "adam", table: int = 500) -> tuple[keras.Model, np.ndarray]:
    """A bag of embeddings after three epochs by luodi's loop, and its first table."""
    chosen = config.TextTrain.model_validate(
        {"precision": precision, "optimizer": optimizer, "epochs": 3, "patience": 3, "decay": "cosine"}
    )
    training.make_deterministic(chosen.seed)
    ids = keras.Input((6,), dtype="int32")
    vectors = keras.layers.Embedding(table, 4, dtype=precision)(ids)
    hidden = keras.layers.GlobalAveragePooling1D(dtype=precision)(vectors)
    model = keras.Model(ids, keras.layers.Dense(2, "softmax", dtype="float32")(hidden))
    first = model.weights[0].numpy()
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, table // 2, (64, 6)).astype(np.int32), np.arange(64, dtype=np.int32) % 2
    rows = batches.Batches(x, y, 2, 16, seed=1)
    training.compile_model(model, chosen, 2, len(rows))
    training.fit(model, chosen, rows, batches.Batches(x, y, 2, 16))
    return model, first


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_the_loop_moves_only_what_was_looked_up_at_any_precision(precision: str) -> None:
    model, first = fitted(precision)
    table = model.weights[0].numpy()
    assert table[250:].tobytes() == first[250:].tobytes()
    assert (table[:250] != first[:250]).any(1).mean() > 0.5


def test_training_repeats_to_the_bit() -> None:
    one, other = (fitted("float32")[0] for _ in range(2))
    for weights in zip(one.get_weights(), other.get_weights(), strict=True):
        assert weights[0].tobytes() == weights[1].tobytes()


def test_it_is_saved_and_read_back_with_its_state(tmp_path: Any) -> None:
    model, _ = fitted("float32")
    model.compile(model.optimizer, "mean_squared_error")  # without luodi's metric, which no file holds
    model.save(tmp_path / "model.keras")
    read = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert isinstance(read.optimizer, LazyAdam)
    for one, other in zip(model.optimizer.variables, read.optimizer.variables, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()
