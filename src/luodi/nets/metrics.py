"""Metrics that Keras lacks, streamed over batches."""

from typing import Any

import keras
from keras import ops


class MacroRecall(keras.metrics.Metric):
    """Mean over the classes of TP_c / (TP_c + FN_c), a row's prediction being its most probable class.

    `keras.metrics.Recall` counts every entry above a threshold and pools the classes (micro), which for one-hot
    labels is about accuracy. A class without a true row so far is left out of the mean, as scikit-learn's
    `balanced_accuracy_score` does; with no row at all the value is 0.
    """

    def __init__(self, classes: int, name: str = "recall") -> None:
        super().__init__(name=name)
        self.hits = self.add_variable((classes,), "zeros", name="hits")
        self.rows = self.add_variable((classes,), "zeros", name="rows")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: `y_true` one-hot and `y_pred` probabilities, both [batch, classes]."""
        if sample_weight is not None:
            raise ValueError("MacroRecall takes no sample weights")
        truth = ops.cast(y_true, self.dtype)
        guess = ops.one_hot(ops.argmax(y_pred, axis=-1), self.rows.shape[0], dtype=self.dtype)
        self.hits.assign_add(ops.sum(truth * guess, axis=0))
        self.rows.assign_add(ops.sum(truth, axis=0))

    def result(self) -> Any:
        """Return the macro recall of the rows so far: a scalar in [0, 1]."""
        recalls = self.hits / ops.maximum(self.rows, 1.0)
        present = ops.sum(ops.cast(self.rows > 0, self.dtype))
        return ops.sum(recalls) / ops.maximum(present, 1.0)
