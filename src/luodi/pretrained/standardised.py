"""What stands between an encoder and its head, by Keras."""

from typing import Any

import keras
from keras import ops

from luodi.pretrained.head import SHORTEST, Standard


class Standardised(keras.layers.Layer):
    """See `Standard`."""

    def __init__(self, standard: Standard, **settings: Any) -> None:
        super().__init__(**settings)
        self.standard = standard

    def call(self, vectors: Any) -> Any:
        """Keras calls this."""
        length = ops.sqrt(ops.maximum(ops.sum(vectors * vectors, axis=-1, keepdims=True), SHORTEST**2))
        mean = ops.convert_to_tensor(self.standard.mean)  # PyTorch takes none of NumPy's arrays
        return (vectors / length - mean) / float(self.standard.scale)
