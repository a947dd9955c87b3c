"""Networks: one small module an architecture, the training loop, saving and export. Only Keras, any backend."""

import os
import sys

from luodi.system.lazy import Unneeded

# Keras reads and writes ~/.keras unless told of another place, or of none: what is trained depends on the commit alone.
os.environ.setdefault("KERAS_HOME", os.devnull)
# A quarter of Keras' start, for wrappers and data frames, neither of which luodi gives it.
sys.meta_path.insert(0, Unneeded("keras", "sklearn", "pandas"))
