"""Near-copies of a text are found whatever else is there, and texts that only share their subject are not."""

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luodi.data import near_copies

LONG = "The room was clean and quiet, the staff friendly, and breakfast better than in most hotels of this price. "
CHINESE = "房间很干净，服务员也很热情，早餐种类丰富，位置离地铁站不远，下次来上海还会选择这家酒店。"
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.none(), min_size=1, max_size=20)


def alike(one: str, other: str) -> bool:
    return any(band[0] == band[1] for band in near_copies.bands(pa.array([one, other], pa.string())))


@pytest.mark.parametrize("text", [LONG, CHINESE, "Good.", "好", "12"])
@pytest.mark.parametrize(
    "change", [str.upper, "{}.".format, " {} ".format, "<p>{}</p>".format], ids=["upper", "stop", "blank", "tag"]
)
def test_a_text_is_alike_to_itself_with_a_stop_or_in_capitals(text: str, change: object) -> None:
    changed = change(text)  # type: ignore[operator]  # both are functions of a text
    assert alike(text, changed)


def test_numbers_of_a_template_tell_no_texts_apart() -> None:
    found = [f"Your order {number} has left us and comes on {number % 28 + 1} May." for number in range(500)]
    assert all(len(set(band.tolist())) == 1 for band in near_copies.bands(pa.array(found)))


def test_a_word_that_changes_leaves_a_long_text_alike() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(map(chr, rng.integers(0x4E00, 0x5E00, 150))) for _ in range(100)]
    starts = rng.integers(0, 140, 100).tolist()
    changed = [text[:start] + "xyz" + text[start + 3 :] for text, start in zip(texts, starts, strict=True)]
    found = np.stack([*near_copies.bands(pa.array([*texts, *changed]))]).reshape(-1, 2, 100)
    assert (found[:, 0] == found[:, 1]).any(axis=0).mean() > 0.95


def test_texts_that_share_a_subject_are_not_alike() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(map(chr, rng.integers(97, 123, 6))) for _ in range(60)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(1000)]
    for band in near_copies.bands(pa.array(texts)):
        assert len(np.unique(band)) > 995


@given(TEXTS, TEXTS)
def test_what_a_text_is_alike_to_depends_on_both_alone(some: list[str | None], others: list[str | None]) -> None:
    alone = np.stack([*near_copies.bands(pa.array(some, pa.string()))])
    among = np.stack([*near_copies.bands(pa.array([*others, *some], pa.string()))])
    assert (among[:, len(others) :] == alone).all()
    assert (alone >= 0).all()


def slow_grams(raw: str) -> list[int]:
    """The numbers of the n-grams of one text, one letter at a time."""
    text = re.sub("<[^<>]*>", " ", pc.utf8_lower(unicodedata.normalize("NFKC", raw)).as_py())
    kinds = [letter if ord(letter) > 0xFFFF else unicodedata.category(letter)[0] for letter in text]
    letters = [
        ord("0") if kind == "N" else ord(letter)
        for letter, kind, before in zip(text, kinds, ["", *kinds], strict=False)
        if kind not in "MPSZC" and (kind, before) != ("N", "N")
    ] or [ord(letter) for letter in text]
    padded = [*letters, *[0] * (near_copies.GRAM - 1)]
    factor, found = int(near_copies.ODD[0]), []
    for start in range(len(letters)):
        number = 0
        for letter in padded[start : start + near_copies.GRAM]:
            number = (number * factor + letter) % 2**64
        found.append(number)
    return found


@given(st.lists(st.text("aBÉß 12½.,<>!\n好的店😀\U00010400", max_size=12), max_size=9))
@example(["", "½", "", "<a>1<b>2</b>", "1", "2", "<>", "< <", "a>", "<", ">", "."])
def test_grams_are_those_of_a_slow_reference(texts: list[str]) -> None:
    grams, owner = near_copies.grams(pa.array(texts, pa.string()))
    found = [grams[owner == row].tolist() for row in range(len(texts))]
    assert found == [slow_grams(raw) for raw in texts]


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array([f"{LONG}{number}" * (number % 3) for number in range(50)])
    whole = np.stack([*near_copies.bands(texts)])
    monkeypatch.setattr(near_copies, "CHUNK", 7)
    assert (np.stack([*near_copies.bands(texts)]) == whole).all()


@pytest.mark.parametrize(
    ("share", "least", "most"), [(0.95, 0.99, 1), (0.9, 0.94, 1), (0.8, 0.55, 0.75), (0.5, 0, 0.04), (0.25, 0, 0.005)]
)
def test_the_chance_to_be_found_is_that_of_the_formula(share: float, least: float, most: float) -> None:
    """Sets of 100 grams of which two have this share of all in common."""
    rng, both = np.random.default_rng(1), round(200 * share / (1 + share))
    found = []
    for _ in range(400):
        grams = rng.integers(0, 2**63, 200 - both, dtype=np.uint64)
        mine, other = grams[:100], grams[100 - both :][-100:]
        owner = np.repeat([0, 1], 100)
        table = near_copies._signatures(np.concatenate([mine, other]), owner, 2)
        filled = near_copies._filled(table)[: near_copies.BANDS * near_copies.ROWS]
        one, two = filled.T.reshape(2, near_copies.BANDS, near_copies.ROWS)
        found.append((one == two).all(axis=1).any())
    assert least <= np.mean(found) <= most
