"""Networks: one small module an architecture, the training loop, saving and export. Only Keras, any backend."""

import os

# Keras reads and writes ~/.keras unless told of another place, or of none: what is trained depends on the commit alone.
os.environ.setdefault("KERAS_HOME", os.devnull)
