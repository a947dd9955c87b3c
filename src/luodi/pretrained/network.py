"""An encoder of the BERT family by Keras, with a head behind it: what `graph` computes, to be trained on.

What trains of a matrix W is either V of W = share * V, for an optimizer that moves every weight by the same moves W by
its share of that (layer-wise decay, Howard and Ruder 2018), or with LoRA the small A and B of W + 2 A B (Hu and others
2021), W as it came.
"""

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from luodi.config import TextTrain
from luodi.pretrained.graph import HIDDEN, PARTS, Form, Weights
from luodi.pretrained.head import Head
from luodi.pretrained.standardised import Standardised

GAIN = 2.0  # of what LoRA adds
LINEAR = [part for part in PARTS if not part.endswith("norm")]
Array = NDArray[np.float32]


def build(settings: TextTrain, form: Form, weights: Weights, head: Head) -> keras.Model:
    """Return a model from "x", ids int32 [batch, length], to "probabilities", float32 [batch, classes].

    `settings` says what of it trains. A batch is read up to the end of its longest text; by JAX, whose shapes are
    fixed, as far as it is padded.
    """
    parts = Parts(settings, form, weights)
    ids = keras.Input((None,), dtype="int32", name="x")
    hidden, mask = Embedded(parts, name="embedded")(ids)
    for layer in range(form.layers):
        hidden = Layer(parts, layer, name=f"layer_{layer}")(hidden, mask)
    if form.causal:
        hidden = Last(parts, form.layers - 1, name="last")(hidden)
    vectors = Pooled(form.pooling, dtype="float32", name="vectors")(hidden, mask)
    unit = Standardised(head.standard, dtype="float32", name="standardised")(vectors)
    last = keras.layers.Dense(len(head.bias), "softmax", dtype="float32", name="probabilities")
    model = keras.Model(ids, last(unit))
    last.set_weights([head.weights, head.bias])
    return model


def trained(model: keras.Model, form: Form) -> tuple[Weights, Array, Array]:
    """Return the weights that `model` came to: of the encoder, and kernel and bias of its head."""
    found: Weights = model.get_layer("embedded").merged()
    for layer in range(form.layers):
        found |= model.get_layer(f"layer_{layer}").merged()
    if form.causal:
        found |= model.get_layer("last").merged()
    kernel, bias = model.get_layer("probabilities").get_weights()
    return found, kernel, bias


class Parts:
    """What layers are made of, by the names in `Weights`."""

    def __init__(self, settings: TextTrain, form: Form, weights: Weights) -> None:
        self.settings, self.form, self.weights = settings, form, weights

    def share(self, layer: int) -> float:
        """Of the learning rate that a layer has; the embeddings are below layer 0."""
        return float(self.settings.layer_decay ** (self.form.layers - 1 - layer))


class _Stored(keras.layers.Layer):
    """A layer that begins with weights that there are, each of which may be shared out, see above."""

    def __init__(self, parts: Parts, layer: int, name: str) -> None:
        super().__init__(dtype=parts.settings.precision, name=name)
        self.parts, self.layer = parts, layer
        self.full = parts.settings.tuning == "full"
        self.factor = parts.share(layer) if self.full else 1.0
        self.stored: dict[str, Any] = {}
        self.drop = keras.layers.Dropout(parts.settings.dropout, dtype=self.dtype_policy, name="drop")

    def store(self, name: str) -> None:
        value = self.parts.weights[name]
        self.stored[name] = self.add_weight(
            value.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(value / self.factor, dtype),
            trainable=self.full,
            name=name.replace(".", "_"),
        )

    def value(self, name: str) -> Any:
        found = ops.convert_to_tensor(self.stored[name])
        return found * ops.cast(self.factor, found.dtype) if self.factor != 1 else found

    def norm(self, name: str, hidden: Any) -> Any:
        """Over the last axis, in float32: bfloat16 loses too much of a mean."""
        found = ops.cast(hidden, "float32")
        mean, variance = ops.moments(found, axes=[-1], keepdims=True)
        found = (found - mean) * ops.rsqrt(variance + self.parts.form.epsilon)
        weight, bias = (ops.cast(self.value(f"{name}.{kind}"), "float32") for kind in ("weight", "bias"))
        return ops.cast(found * weight + bias, self.compute_dtype)

    def merged(self) -> Weights:
        """Its weights as the graph has them."""
        return {
            name: np.asarray(ops.convert_to_numpy(one)) * np.float32(self.factor) for name, one in self.stored.items()
        }


class Embedded(_Stored):
    """From ids [batch, length] to the vectors of tokens, [batch, longest, width], and where there is one."""

    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__(parts, -1, name)
        norm = () if parts.form.causal else ("embedding_norm.weight", "embedding_norm.bias")
        for one in ("words", "places", *norm):
            self.store(one)

    def call(self, ids: Any, training: bool = False) -> tuple[Any, Any]:
        """Keras calls this. The mask, float32 [batch, longest], is 1 where there is a token."""
        seen = ops.not_equal(ids, self.parts.form.pad)
        if keras.backend.backend() != "jax":
            longest = ops.maximum(ops.max(ops.where(seen, ops.arange(1, ops.shape(ids)[1] + 1, dtype="int32"), 0)), 1)
            ids, seen = ids[:, :longest], seen[:, :longest]
        words = ops.take(self.stored["words"], ids, axis=0)  # of the table itself: its gradient has few rows
        words = ops.cast(words, self.compute_dtype) * self.factor
        hidden = words + self.value("places")[: ops.shape(ids)[1]]
        hidden = hidden if self.parts.form.causal else self.norm("embedding_norm", hidden)
        return self.drop(hidden, training=training), ops.cast(seen, "float32")

    def compute_output_spec(self, ids: Any, training: bool = False) -> Any:
        shape = (ids.shape[0], None)
        return (
            keras.KerasTensor((*shape, self.parts.form.width), self.compute_dtype),
            keras.KerasTensor(shape, "float32"),
        )


class Layer(_Stored):
    """One layer of attention and what follows it: [batch, length, width] to the same."""

    def __init__(self, parts: Parts, layer: int, name: str) -> None:
        super().__init__(parts, layer, name)
        for part in PARTS:
            for kind in ("weight", "bias"):
                self.store(f"{layer}.{part}.{kind}")
        self.adapters = {part: self._adapter(part) for part in LINEAR if self._adapted(part)}

    def _adapted(self, part: str) -> bool:
        settings = self.parts.settings
        return settings.tuning == "lora" and part in settings.lora_targets

    def _adapter(self, part: str) -> tuple[Any, Any]:
        inner, outer = self.parts.weights[f"{self.layer}.{part}.weight"].shape
        rank = self.parts.settings.lora_rank
        into = keras.initializers.RandomNormal(stddev=inner**-0.5)
        return (
            self.add_weight((inner, rank), initializer=into, name=f"{part}_a"),
            self.add_weight((rank, outer), initializer="zeros", name=f"{part}_b"),
        )

    def call(self, hidden: Any, mask: Any, training: bool = False) -> Any:
        """Keras calls this."""
        first, second = (partial(self.norm, f"{self.layer}.{name}") for name in ("attention_norm", "norm"))
        if self.parts.form.causal:
            hidden += self.drop(self.attention(first(hidden), mask, training), training=training)
            return hidden + self.drop(self.widened(second(hidden)), training=training)
        hidden = first(hidden + self.drop(self.attention(hidden, mask, training), training=training))
        return second(hidden + self.drop(self.widened(hidden), training=training))

    def attention(self, hidden: Any, mask: Any, training: bool) -> Any:
        form, (batch, length) = self.parts.form, ops.shape(hidden)[:2]

        def heads(part: str) -> Any:  # [batch, heads, length, width of a head]
            split = (batch, length, form.heads, form.width // form.heads)
            return ops.transpose(ops.reshape(self.linear(part, hidden), split), (0, 2, 1, 3))

        query = heads("query") * ops.cast(form.scale, self.compute_dtype)
        scores = ops.matmul(query, ops.transpose(heads("key"), (0, 1, 3, 2)))
        unseen = _behind(length) if form.causal else ops.reshape((mask - 1.0) * -HIDDEN, (batch, 1, 1, length))
        shares = ops.cast(ops.softmax(ops.cast(scores, "float32") + unseen), self.compute_dtype)
        found = ops.matmul(self.drop(shares, training=training), heads("value"))
        return self.linear("attention", ops.reshape(ops.transpose(found, (0, 2, 1, 3)), (batch, length, form.width)))

    def widened(self, hidden: Any) -> Any:
        inner, kind = self.linear("inner", hidden), self.parts.form.activation
        inner = ops.relu(inner) if kind == "relu" else ops.gelu(inner, approximate=kind == "gelu_new")
        return self.linear("outer", inner)

    def linear(self, part: str, x: Any) -> Any:
        name = f"{self.layer}.{part}"
        found = ops.matmul(x, self.value(f"{name}.weight")) + self.value(f"{name}.bias")
        if part in self.adapters:
            into, out_of = (ops.convert_to_tensor(one) for one in self.adapters[part])
            found += GAIN * ops.matmul(ops.matmul(x, into), out_of)
        return found

    def merged(self) -> Weights:
        """Its weights as the graph has them, with what LoRA added."""
        found = super().merged()
        for part, (into, out_of) in self.adapters.items():
            added = ops.convert_to_numpy(into) @ ops.convert_to_numpy(out_of)
            found[f"{self.layer}.{part}.weight"] += np.float32(GAIN) * added
        return found


class Last(_Stored):
    """The norm behind the last layer of a decoder: [batch, length, width] to the same."""

    def __init__(self, parts: Parts, layer: int, name: str) -> None:
        super().__init__(parts, layer, name)
        for kind in ("weight", "bias"):
            self.store(f"last_norm.{kind}")

    def call(self, hidden: Any) -> Any:
        """Keras calls this."""
        return self.norm("last_norm", hidden)


def _behind(length: Any) -> Any:
    """What is added for a token that stands behind: float32 [from, to]."""
    places = ops.arange(length)
    return ops.where(ops.expand_dims(places, 0) > ops.expand_dims(places, 1), HIDDEN, 0.0)


class Pooled(keras.layers.Layer):
    """The mean of the tokens' vectors, or that of the first or last: [batch, width]."""

    def __init__(self, pooling: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.pooling = pooling

    def call(self, hidden: Any, mask: Any) -> Any:
        """Keras calls this."""
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "last":
            places = ops.arange(ops.shape(mask)[1], dtype="float32")
            mask = ops.cast(ops.equal(places, ops.max(mask * places, axis=1, keepdims=True)), "float32")
        total = ops.sum(hidden * ops.expand_dims(mask, -1), axis=1)
        return total / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
