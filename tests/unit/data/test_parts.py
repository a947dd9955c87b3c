"""Items are taken apart and put together again."""

import handmade
import images
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import parts, text
from luodi.data.text import Encoder, Nothing

PLAIN = Encoder(("no", "yes"), "ngram", 200, 1024, (), ())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("降0.5个 GOOD-news!", ["降", "0.5", "个", "GOOD", "-", "news", "!"]),
        ("<b>Ünïcode</b> 好", ["Ünïcode", "好"]),
        ("日本語カナ한국어", ["日", "本", "語", "カ", "ナ", "한국어"]),
    ],
)
def test_a_text_is_made_of_words_and_of_characters_that_stand_alone(written: str, expected: list[str]) -> None:
    found = parts.of(PLAIN, written)
    assert [found.whole[start:end] for start, end in found.places] == expected


def test_narrow_rows_lack_padding_alone() -> None:
    masks = np.array([[True] * 4, [True, False, True, False], [False] * 4])
    narrow, whole = (parts.of(PLAIN, "好 坏书 ok", narrow=one).without(masks) for one in (True, False))
    assert whole.shape == (3, PLAIN.length)
    assert narrow.shape[1] == (whole > 0).sum(1).max()
    assert np.array_equal(narrow, whole[:, : narrow.shape[1]])


@given(st.text(max_size=300))
def test_all_parts_together_are_the_text_and_none_is_nothing(written: str) -> None:
    try:
        found = parts.of(PLAIN, written)
    except Nothing:
        assert not text.clean_list([written])[0]
        return
    assert len(found.places) <= parts.MOST
    assert all(first[1] <= second[0] for first, second in zip(found.places, found.places[1:], strict=False))
    masks = np.array([[True] * len(found.places), [False] * len(found.places)])
    whole, _ = found.without(masks)
    assert np.array_equal(whole, PLAIN.encode([written])[0])


def test_what_is_taken_away_is_not_read() -> None:
    found = parts.of(PLAIN, "good 好 bad")
    (left,) = found.without(np.array([[True, True, False]]))
    assert np.array_equal(left, PLAIN.encode(["good 好"])[0])


def test_an_image_is_made_of_regions_and_has_its_ground_where_one_is_away() -> None:
    found = parts.of(handmade.IMAGES, images.png(1))
    pixels = handmade.IMAGES.encode([images.png(1)])[0]
    assert len(found.places) == pixels.shape[0] * pixels.shape[1]  # 2 x 3, too small for 8 x 8
    kept = np.ones((2, 6), bool)
    kept[1, 4] = False
    whole, less = found.without(kept)
    assert np.array_equal(whole, pixels)
    top, bottom, left, right = found.places[4]
    expected = pixels.copy()
    expected[top:bottom, left:right] = np.median(pixels, axis=(0, 1))
    assert np.array_equal(less, expected)
