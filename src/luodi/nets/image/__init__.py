"""Networks for images: pixels in, one module an architecture."""
