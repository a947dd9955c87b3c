"""Adam that moves only the rows of a table that a batch touched."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("luodi")
class LazyAdam(keras.optimizers.Adam):
    """Adam whose moments and weights stand still in the rows of a table that a batch did not look up.

    The gradient of a table is sparse, yet Keras' Adam lets both moments of every row decay, and moves every row by
    them, at each step: nine tenths of the time of a step where the table holds a million vectors. Here a step costs
    what its batch holds. Dense gradients get plain Adam; a row that a batch looks up twice moves by the sum of both
    gradients, as the paper has it (Kingma and Ba 2015), where Keras' Adam adds their squares.

    The bias of the moments is corrected by the number of steps, not by how often a row was touched, as
    torch.optim.SparseAdam and LazyAdam of TensorFlow Addons do: a row that is first touched late moves by
    (1 - beta_1) / sqrt(1 - beta_2) = 3.2 times what it would have moved in the first step.

    For TensorFlow alone: on JAX and PyTorch the gradient of a table is dense, and nothing says what a batch touched.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Keras calls this at each step. Gradients of parts of a batch add up dense; it notes which are tables."""
        if self.gradient_accumulation_steps:
            variables = trainable_variables or self._trainable_variables
            if not self.built:
                self.build(variables)
            pairs = zip(grads, variables, strict=True)
            self.tables = {self._get_variable_index(of) for one, of in pairs if isinstance(one, tf.IndexedSlices)}
            grads = [tf.convert_to_tensor(one) for one in grads]
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads: Any) -> Any:
        """Keras calls this before; its own makes a table's gradient dense."""
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        grads = [_once(one) if isinstance(one, tf.IndexedSlices) else one for one in grads]
        return tf.clip_by_global_norm(grads, self.global_clipnorm)[0]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keras calls this for each variable; `gradient` is dense, or a tf.IndexedSlices of a table [rows, ...]."""
        if isinstance(gradient, tf.IndexedSlices):
            rows, gradient = _summed(gradient)
        elif self.gradient_accumulation_steps and self._get_variable_index(variable) in self.tables:
            rows = _told(gradient)
            gradient = tf.gather(gradient, rows)
        else:
            super().update_step(gradient, variable, learning_rate)
            return
        step = ops.cast(self.iterations + 1, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        rate *= ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))
        index = self._get_variable_index(variable)
        first = _moved(self._momentums[index], rows, gradient, 1 - self.beta_1)
        second = _moved(self._velocities[index], rows, ops.square(gradient), 1 - self.beta_2)
        variable.scatter_sub(tf.IndexedSlices(rate * first / (ops.sqrt(second) + self.epsilon), rows))


def _summed(gradient: Any) -> tuple[Any, Any]:
    """Each row of a gradient that is not zero once, int [rows], and the sum of what it says of it [rows, ...]."""
    told = _told(gradient.values)
    rows, place = tf.unique(tf.gather(gradient.indices, told))
    return rows, tf.math.unsorted_segment_sum(tf.gather(gradient.values, told), place, tf.size(rows))


def _once(gradient: Any) -> Any:
    """The same with each row once: a sum is as long as it is, not as its parts are."""
    rows, values = _summed(gradient)
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _told(values: Any) -> Any:
    """Where `values` [n, ...] are not zero: padding, most of what a batch of texts looks up, has no weight in a bag."""
    return tf.squeeze(tf.where(tf.reduce_any(values != 0, -1)), -1)


def _moved(moment: Any, rows: Any, target: Any, share: float) -> Any:
    """Move `rows` of `moment` by a `share` of the way to `target`; return them [rows, ...]."""
    old = tf.gather(moment.value, rows)
    new = old + (target - old) * share
    moment.value.scatter_update(tf.IndexedSlices(new, rows))
    return new
