"""The example in a pulled folder encodes as luodi does, with nothing of luodi."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from luodi.data import image, text
from luodi.local import example

LABELS = ("a", "b")
ODD = [
    "质量很好,下次还会再来", "<p>Tom &amp; Jerry</p><!-- x -->", "call 13812345678, mail a.b@c.de!", "ＡＢＣ①ﬁ",
    "İstanbul ẞ ǅ",
    "a\u200bb\u00adc", "ab\x00\ufffdc", "4111 1111 1111 1111 and 11010119900307123X", "ไทย 한국어 тест", "x" * 500,
    "&amp;lt;b&amp;gt;bold", "😀 👍🏽 flags 🇨🇳", "don't stop-it", "one", " 1 2\u30003 ", "13812345678 13912345678",
]  # fmt: skip


def encoder(**changes: Any) -> text.Encoder:
    blank: dict[str, Any] = {"max_length": 40, "buckets": 16, "stop_words": (), "vocabulary": ()}
    return text.Encoder(LABELS, **blank | changes)


def kept(**changes: Any) -> str | None:
    """What an encoder fitted on the odd texts, each twice, keeps."""
    fitted = encoder(tokenizer="ngram", kept="", **changes).keeping([text.column(text.clean_list(2 * ODD[:8]))])
    return fitted.kept


STYLES: list[dict[str, Any]] = [
    {"tokenizer": "ngram", "buckets": 4096, "words": False},
    {"tokenizer": "ngram", "buckets": 999, "words": True},
    {"tokenizer": "ngram", "buckets": 1000003, "words": True, "stop_words": ("的", "not", "no")},
    {
        "tokenizer": "ngram",
        "buckets": 2**24,
        "words": True,
        "grams": 4,
        "kept": kept(grams=4, words=True, buckets=2**24),
    },
    {"tokenizer": "ngram", "buckets": 64, "words": False, "grams": 2, "kept": kept(grams=2, buckets=64)},
    {"tokenizer": "char", "vocabulary": tuple("abcde 的好不")},
]


def same(made: text.Encoder, texts: Sequence[str]) -> None:
    assert np.array_equal(example.encode(made.as_json(), texts), made.encode(texts))


@pytest.mark.parametrize("style", STYLES)
def test_odd_texts_are_encoded_as_luodi_does(style: dict[str, Any]) -> None:
    same(encoder(**style), ODD)


known = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cn", "Cs", "Co"])  # to every library's Unicode


@given(st.text(known | st.sampled_from("<>&;@-0123456789abc 好\n")), st.sampled_from(STYLES))
def test_any_text_is_encoded_as_luodi_does(one: str, style: dict[str, Any]) -> None:
    if text.clean_list([one]) != [""]:
        same(encoder(**style), [one])


@pytest.mark.slow
def test_words_are_cut_as_luodi_does() -> None:
    same(encoder(tokenizer="word", vocabulary=("质量", "很", "好"), stop_words=("下次",)), ODD[:4])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_images_are_read_as_luodi_does(mode: str, channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 4), np.uint8)
    path = tmp_path / "one.png"
    Image.fromarray(pixels).convert(mode).save(path)
    made = image.Encoder(LABELS, 8, 6, channels, (0.5,) * channels, (0.2,) * channels)
    assert np.array_equal(example.encode(made.as_json(), [str(path)]), made.encode([path.read_bytes()]))


def test_it_needs_numpy_and_onnx_runtime_alone() -> None:
    tree = ast.parse(Path(example.__file__).read_text())
    found = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
             for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip
    standard = {
        "base64",
        "collections",
        "functools",
        "html",
        "itertools",
        "json",
        "pathlib",
        "re",
        "sys",
        "typing",
        "unicodedata",
    }
    assert {str(name).split(".")[0] for name in found} - standard == {"numpy", "onnxruntime"}
