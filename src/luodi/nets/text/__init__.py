"""Networks for text: ids in, one module an architecture."""
