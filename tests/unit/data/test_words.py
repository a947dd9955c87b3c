"""Words and pairs of words: as a plain Python reading of the same text finds them."""

import itertools
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import ngrams, words
from luodi.data.text import Encoder


def hashes(texts: list[str]) -> list[Any]:
    """Of each text the set of its hashes."""
    points, lengths = ngrams.code_points(texts)
    found, row = words.of_rows(points, np.repeat(np.arange(len(texts)), lengths))
    return [set(found[row == place].tolist()) for place in range(len(texts))]


@given(st.lists(st.text(alphabet="abcÄßщ 9,.中-", max_size=12), min_size=1, max_size=6))
def test_equal_words_and_pairs_are_equal_hashes(texts: list[str]) -> None:
    def plain(one: str) -> set[Any]:
        found = re.findall(r"[abcäßщ9]+", one.lower())
        return {*found, *itertools.pairwise(found)}

    for one, found in zip(texts, hashes(texts), strict=True):
        assert len(found) == len(plain(one))
        for other, there in zip(texts, hashes(texts), strict=True):
            assert len(found & there) == len(plain(one) & plain(other))


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("Hello World", "hello, world!", 3),
        ("hello world", "world hello", 2),
        ("안녕 세계", "안녕", 1),
        ("你好 世界", "你好 世界", 0),
        ("สวัสดี ครับ", "สวัสดี ครับ", 0),
        ("हिन्दी", "हिन्दी", 1),
        ("", "", 0),
    ],
)
def test_scripts_with_spaces_have_words(one: str, other: str, shared: int) -> None:
    left, right = hashes([one, other])
    assert len(left & right) == shared


def test_words_of_one_text_make_no_pair_with_the_next() -> None:
    assert sum(map(len, hashes(["one", "two"]))) == 2


def test_the_encoder_adds_them_where_asked_and_has_room() -> None:
    plain = Encoder(("a", "b"), "ngram", 9, 2**20, (), ())
    both = Encoder(("a", "b"), "ngram", 9, 2**20, (), (), words=True)
    rows = ["a b c d e", "aaaa aaaa", "a", ""]
    few, many = (one.encode_clean(pa.array(rows)) for one in (plain, both))
    assert [int((row != 0).sum()) for row in many] == [int((row != 0).sum()) + more for row, more in
                                                       zip(few, [9, 2, 1, 0], strict=True)]  # fmt: skip
    assert many.shape[1] == few.shape[1] + 9
    assert (
        Encoder.from_json({key: value for key, value in plain.as_json().items() if key not in ("words", "modality")})
        == plain
    )
