"""Classify with nothing of luodi: NumPy and ONNX Runtime; Pillow for images, jieba where the tokenizer is "word", and
the package tokenizers where there is a tokenizer.json.

    python example.py "the first text" "the second"        python example.py image.png

`luodi pull` puts this file beside model.onnx and encoder.json. `encode` makes the input `x` of the model, and is what a
server in another language has to do; the output `probabilities` has a column a label, in the order of encoder.json.
"""

import base64
import html
import json
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

# Texts. An order of the rules, and a second pass of each, because one match takes the character before the next.
PERSONAL = (
    ("[EMAIL]", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    ("[ID]", r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"),
    ("[CARD]", r"[3-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,4}(?:[ -]?[0-9]{1,3})?"),
    ("[CARD]", r"3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5}"),
    ("[PHONE]", r"(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"),
)
START, END = 2, 3  # code points that no clean text holds
M, PAIR, WORD = 0x100000001B3, 0x9E3779B97F4A7C15, 2**64 - 1
# Scripts without spaces between words have no words of their own.
SPACED = (range(0x0E00), range(0x0F00, 0x1000), range(0x10A0, 0x1780), range(0x1800, 0x3000), range(0xAC00, 0xD7A4))


def clean(text: str) -> str:
    """Return a text as the model was trained on: NFKC, no tags, nothing invisible, personal data masked."""
    before = None
    while text != before:
        before = text
        text = html.unescape(unicodedata.normalize("NFKC", text))
        text = re.sub(r"(?s)<!--.*?-->|</?[A-Za-z][^<>]*>", " ", text)
        text = "".join(one for one in text if unicodedata.category(one) != "Cf")
        text = "".join(" " if one == "\ufffd" or unicodedata.category(one) == "Cc" else one for one in text)
        for mask, pattern in PERSONAL:
            for _ in range(2):
                text = re.sub(rf"(\A|[^0-9])(?:{pattern})(\Z|[^0-9])", rf"\g<1>{mask}\g<2>", text)
        text = " ".join(text.split())
    return text


def encode_text(encoder: dict[str, Any], text: str) -> list[int]:
    """Return the ids of a text: hashed n-grams, characters or words of a vocabulary; 0 fills up to `length`."""
    text = clean(text)
    known = {token: place for place, token in enumerate(encoder["vocabulary"], 2)}
    if encoder["tokenizer"] == "word":
        import jieba

        words = [word for word in jieba.lcut(text) if word != " " and word not in encoder["stop_words"]]
        ids = [known.get(word, 1) for word in words[: encoder["max_length"]]]
    else:
        stop = "|".join(map(re.escape, sorted(encoder["stop_words"], key=len, reverse=True)))
        points = [ord(one) for one in (re.sub(stop, "", text) if stop else text)[: encoder["max_length"]]]
        if encoder["tokenizer"] == "char":
            ids = [known.get(chr(point), 1) for point in points]
        else:
            kept = encoder.get("kept")  # the buckets that have an id; None in models of before: all have
            if kept is not None and points:
                points = [START, *points, END]
            hashes = [*_ngrams(points, encoder.get("grams", 3)), *(_words(points) if encoder["words"] else ())]
            ids = sorted({_mix(one) % encoder["buckets"] + 1 for one in hashes})
            if kept is not None:
                ids = [_kept(kept)[one] for one in ids if one in _kept(kept)]
    return ids + [0] * (encoder["length"] - len(ids))


@cache
def _kept(packed: str) -> dict[int, int]:
    """The id of each bucket that has one."""
    return {bucket: place for place, bucket in enumerate(np.frombuffer(base64.b64decode(packed), "<u4").tolist(), 1)}


def _ngrams(points: Sequence[int], longest: int) -> Iterator[int]:
    """Hash each character, and each two and more neighbours."""
    for place, point in enumerate(points):
        hashed = point + 1
        yield hashed
        for more, following in enumerate(points[place + 1 : place + longest], 2):
            hashed = (hashed * M + following + more) & WORD
            yield hashed


def _words(points: Sequence[int]) -> Iterator[int]:
    """Hash each word in lower case, and each two neighbours."""
    words, power = list[int](), 0
    for point in points:
        letter = any(point in part for part in SPACED) and unicodedata.category(chr(point))[0] in "LMN"
        if not letter:
            power = 0
            continue
        if not power:
            words.append(0)
        power = (power or 1) * M & WORD
        words[-1] = (words[-1] + ord(chr(point).lower()[0]) * power) & WORD
    yield from (word * PAIR & WORD for word in words)
    yield from ((one * PAIR + two * M + PAIR) & WORD for one, two in pairwise(words))


def _mix(value: int) -> int:
    """Spread near values over 64 bits (SplitMix64)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & WORD
    return value ^ value >> 31


def encode_image(encoder: dict[str, Any], path: str) -> NDArray[np.uint8]:
    """Return the pixels of an image file, uint8 [height, width, channels], transparent ones on white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(path))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if encoder["channels"] == 1 else "RGB")
    size = encoder["width"], encoder["height"]
    image = image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(encoder["height"], encoder["width"], encoder["channels"])


def encode_subwords(encoder: dict[str, Any], texts: Sequence[str]) -> NDArray[np.int32]:
    """Return the ids of texts by the tokenizer of a pretrained encoder; `pad` fills up to the longest of them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(__file__).resolve().with_name("tokenizer.json")))
    tokenizer.enable_truncation(encoder["length"])
    tokenizer.enable_padding(pad_id=encoder["pad"])
    tokenizer.encode_special_tokens = True
    return np.array([one.ids for one in tokenizer.encode_batch([clean(text) for text in texts])], np.int32)


def encode(encoder: dict[str, Any], items: Sequence[str]) -> NDArray[Any]:
    """Return the input of the model for texts, int32 [n, length], or for image files, uint8 [n, h, w, channels]."""
    if encoder.get("tokenizer") == "subwords":
        return encode_subwords(encoder, items)
    if encoder["modality"] == "text":
        return np.array([encode_text(encoder, item) for item in items], np.int32)
    return np.stack([encode_image(encoder, item) for item in items])


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    here = Path(__file__).resolve().parent
    encoder = json.loads((here / "encoder.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])
    for row in session.run(["probabilities"], {"x": encode(encoder, sys.argv[1:])})[0]:
        best = int(row.argmax())
        print(
            json.dumps(
                {"label": encoder["labels"][best], "probability": round(float(row[best]), 6)}, ensure_ascii=False
            )
        )
