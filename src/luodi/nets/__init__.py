"""Networks: one small module an architecture, the training loop, saving and export. Only Keras, any backend."""
