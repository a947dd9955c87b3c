"""Keras' gradients of a multilayer perceptron against the textbook backward pass, in float64.

Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors" (1986); in the notation of
Nielsen, "Neural Networks and Deep Learning", chapter 2.
"""

from typing import Any

import numpy as np
import pytest

from luodi.nets.stderr import quiet

with quiet():
    import keras
    import tensorflow as tf

pytestmark = pytest.mark.slow


def backward(x: Any, y: Any, weights: Any) -> Any:
    """Gradients of the mean cross-entropy of ReLU layers and a softmax: [dW1, db1, dW2, db2, ...].

    delta_L = (p - y) / n;  delta_l = (delta_{l+1} W_{l+1}^T) * [z_l > 0];  dW_l = a_{l-1}^T delta_l;
    db_l = sum of the rows of delta_l.
    """
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    activations, inputs = [x], []
    for W, b in pairs:
        inputs.append(activations[-1] @ W + b)
        activations.append(np.maximum(inputs[-1], 0))
    e = np.exp(inputs[-1] - inputs[-1].max(axis=1, keepdims=True))
    delta = (e / e.sum(axis=1, keepdims=True) - y) / len(x)
    gradients: list[Any] = []
    for layer in reversed(range(len(pairs))):
        gradients = [activations[layer].T @ delta, delta.sum(axis=0), *gradients]
        if layer:
            delta = (delta @ pairs[layer][0].T) * (inputs[layer - 1] > 0)
    return gradients


@pytest.mark.parametrize("widths", [(6, 3), (6, 5, 3), (6, 8, 5, 2)])
@pytest.mark.parametrize("rows", [1, 17])
def test_gradients_are_those_of_the_textbook(widths: tuple[int, ...], rows: int) -> None:
    rng = np.random.default_rng(5)
    hidden = [keras.layers.Dense(width, "relu", dtype="float64") for width in widths[1:-1]]
    last = keras.layers.Dense(widths[-1], "softmax", dtype="float64")
    model = keras.Sequential([keras.Input((widths[0],), dtype="float64"), *hidden, last])
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    x = rng.normal(size=(rows, widths[0]))
    y = np.eye(widths[-1])[rng.integers(widths[-1], size=rows)]
    with tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.categorical_crossentropy(y, model(x)))
    found = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for gradient, expected in zip(found, backward(x, y, model.get_weights()), strict=True):
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=0, atol=1e-10)
