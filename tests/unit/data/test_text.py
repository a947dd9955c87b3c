"""Cleaning, masking, augmentation and encoding of text: properties over all of Unicode, and tables of cases."""

import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from luodi.config import Shares, TextAugment, TextPreprocess
from luodi.data import encoders, ngrams, text
from luodi.data.text import MASK, PAD, UNKNOWN, Encoder, Nothing, clean, clean_list, column
from luodi.errors import ArtifactError, EmptyData

SYNTAX = (
    "& amp; &amp; &lt; &gt &#60; &#x26; &#0; &#xD800; &nbsp; &NotEqualTilde; < > <b> </b> <!-- --> 1 +86 - x X @ . "
    "13800138000 110101199003078515 6222021234567890 a@b.cn [PHONE] １ ﷺ ㎏ 가"
)
# Any code point, and what cleaning has rules for: entities in entities, tags, digits, separators, neighbours of masks.
PIECES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(SYNTAX.split()),
    st.sampled_from("  \u200b\u200d\ufeff\u0301\ufffd\x00\x1f\u3000\u2028\u1100\U0010ffff"),
)
MESSY = st.lists(PIECES, max_size=12).map("".join)
PLAIN = st.text(st.sampled_from("好坏店大小很的住x 7😀\U00020000"), max_size=12)
RATES = st.floats(0, 1)


def cleaned(*texts: str) -> Any:
    return text.clean(text.column(texts)).to_pylist()


def augmented(texts: Any, seed: int = 0, **rates: float) -> Any:
    config = TextAugment(copies=1, **{"swap": 0.0, "delete": 0.0, "mask": 0.0} | rates)
    return text.augment(text.column(texts), config, [np.random.default_rng(seed)] * 3).to_pylist()


def encoder(tokenizer: str = "ngram", **changes: Any) -> Any:
    fields: dict[str, Any] = {"max_length": 6, "buckets": 97, "stop_words": (), "vocabulary": ()} | changes
    return Encoder(labels=("bad", "good"), tokenizer=tokenizer, **fields)


def block(**changes: Any) -> Any:
    fields: dict[str, Any] = {"seed": 0, "shares": Shares(train=0.8, validation=0.1, test=0.1)}
    fields |= {"tokenizer": "char", "max_length": 6, "vocabulary": 5, "buckets": 97, "stop_words": ()}
    return TextPreprocess(**fields | {"augment": TextAugment(copies=0, swap=0.0, delete=0.0, mask=0.0)} | changes)


ENCODERS = [
    encoder(),
    encoder(stop_words=("的", "很好"), max_length=3),
    encoder(grams=4, kept="").keeping([column(["好店", "好店大", "大"])]),
    encoder("char", vocabulary=("好", "店", "😀")),
    encoder("char", vocabulary=("好",), stop_words=("店",)),
    encoder("word", vocabulary=("好", "酒店", "房间")),
    encoder("word", vocabulary=("好",), stop_words=("酒店",), max_length=2),
]
NAMES = [f"{one.tokenizer}{'-stop' if one.stop_words else ''}" for one in ENCODERS]
every_encoder = pytest.mark.parametrize("one", ENCODERS, ids=NAMES)


def times(factor: float) -> settings:
    """So many times the examples of a run, which `make check` has few of."""
    return settings(max_examples=int(factor * settings().max_examples))


@pytest.mark.slow
@times(5)
@given(st.lists(MESSY, max_size=5))
def test_cleaning_a_clean_text_changes_nothing(texts: list[str]) -> None:
    once = text.clean(text.column(texts))
    assert text.clean(once).equals(once)


@times(3)
@given(st.lists(MESSY, min_size=1, max_size=6))
def test_cleaning_a_column_is_cleaning_each_row(texts: list[str]) -> None:
    assert cleaned(*texts) == [cleaned(one)[0] for one in texts]


def by_every_rule(texts: Any) -> Any:
    """Clean without a look at which rows the rules touch."""
    while not (after := text._clean_once(texts)).equals(texts):
        texts = after
    return texts.to_pylist()


@pytest.mark.slow
@times(5)
@given(st.lists(MESSY, max_size=5))
def test_rows_that_no_rule_is_tried_on_are_those_that_none_changes(texts: list[str]) -> None:
    assert cleaned(*texts) == clean_list(texts) == by_every_rule(column(texts))


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.proof), 11])
@pytest.mark.parametrize("around", ["x{}y", "e{}{}\u0301", "138{}00138000", "{}"])
@pytest.mark.slow
def test_every_code_point_is_cleaned_as_by_every_rule(around: str, step: int) -> None:
    points = [chr(point) for point in range(step - 1, 0x110000, step) if not 0xD800 <= point < 0xE000]
    texts = [around.format(point, point) for point in points]
    expected = by_every_rule(column(texts))
    assert cleaned(*texts) == expected
    # The others are left to the column, a millisecond each.
    alone = [place for place, point in enumerate(points) if point.isprintable()][::step]
    assert [clean_list([texts[place]])[0] for place in alone] == [expected[place] for place in alone]


def test_a_text_that_no_rule_touches_is_encoded_without_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    one, made = encoder(max_length=200, buckets=2**20), mock.Mock(wraps=text.column)
    monkeypatch.setattr(text, "column", made)
    assert one.encode(["很好的酒店，下次还住！"]).any()
    made.assert_not_called()
    one.encode(["很好的酒店，下次&还住！"])
    made.assert_called()


def test_of_a_column_rules_see_the_rows_that_they_may_touch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, rules = [f"很好的酒店，下次还住{number}！" for number in range(200)], mock.Mock(wraps=text._apply_rules)
    monkeypatch.setattr(text, "_apply_rules", rules)
    clean(column([*plain, "很好的酒店&amp;下次还住"]))
    (seen,) = rules.call_args.args
    assert seen.to_pylist() == ["很好的酒店&amp;下次还住"]


@times(3)
@given(MESSY)
def test_a_clean_text_has_single_spaces_and_nothing_invisible(raw: str) -> None:
    (after,) = cleaned(raw)
    assert after == " ".join(after.split())
    assert not set(after) & {"\x00", "\x1f", "\u200b", "\ufeff", "\ufffd", "\u3000", "\u2028"}


@pytest.mark.parametrize("array", [text.column([]), text.column(["<b>", "x", "&amp;", ""]).slice(1, 2)])
def test_an_empty_and_a_sliced_column_are_cleaned(array: Any) -> None:
    assert text.clean(array).to_pylist() == ["x", "&"][: len(array)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        (" \t\r\n\u3000", ""),
        ("ＡＢＣ１２３！", "ABC123!"),
        ("<p>很<br/>好</p>", "很 好"),
        ("a<!-- b\n -->c", "a c"),
        ("3 < 5 > 2", "3 < 5 > 2"),
        ("&lt;b&gt;好&lt;/b&gt;", "好"),
        ("&amp;amp;lt;b&gt;好", "好"),
        ("AT&T", "AT&T"),
        ("零\u200b宽\ufeff字", "零宽字"),
        ("坏\ufffd字\x07符", "坏 字 符"),
        ("e\u0301", "é"),
        ("a\u2028b", "a b"),
        ("\ud800", "?"),
    ],
)
def test_clean(raw: str, expected: str) -> None:
    assert cleaned(raw) == [expected]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("13800138000", "[PHONE]"),
        ("电话13800138000。", "电话[PHONE]。"),
        ("138 0013 8000", "[PHONE]"),
        ("138-0013-8000", "[PHONE]"),
        ("+8613800138000", "[PHONE]"),
        ("+86 138-0013-8000", "[PHONE]"),
        ("86-13800138000", "[PHONE]"),
        ("１３８００１３８０００", "[PHONE]"),
        ("138\u200b0013\u200b8000", "[PHONE]"),
        ("&#49;3800138000", "[PHONE]"),
        ("138<b></b>0013<i>8000", "[PHONE]"),
        ("13800138000,13900139000,13700137000", "[PHONE],[PHONE],[PHONE]"),
        ("13800138000 13900139000", "[PHONE] [PHONE]"),
        ("微信13800138000x", "微信[PHONE]x"),
        ("a.b+c@mail.example.com", "[EMAIL]"),
        ("邮箱someone@qq.com，谢谢", "邮箱[EMAIL],谢谢"),
        ("13800138000@163.com", "[EMAIL]"),
        ("ａ＠ｂ．ｃｏｍ", "[EMAIL]"),
        ("110101199003078515", "[ID]"),
        ("11010119900307851X", "[ID]"),
        ("11010119900307851x号", "[ID]号"),
        ("4111111111111111", "[CARD]"),
        ("4111 1111 1111 1111", "[CARD]"),
        ("4111-1111-1111-1111", "[CARD]"),
        ("6222021234567890123", "[CARD]"),
        ("6222 0212 3456 7890 123", "[CARD]"),
        ("3782 822463 10005", "[CARD]"),
        ("378282246310005", "[CARD]"),
    ],
)
def test_personal_data_is_masked(raw: str, expected: str) -> None:
    assert cleaned(raw) == [expected]


@pytest.mark.parametrize(
    "raw",
    [
        "价格4999元", "1999-2024年", "2020 2021 2022 2023", "2024-05-01 12:30:45", "3999 4999 5999", "￥1,388.00",
        "010-62345678", "400-820-8820", "95588", "12306", "12800138000", "1380013800", "400812345678",
        "12345678901234567890", "138001380001380013800138000", "订单号202405011234567890", "99999999999999999999",
        "110101199013078515", "110101199003328515", "11010119900307851", "ISBN 978-7-111-12345-6", "1366x768",
        "x@y", "@某人", "3.14159265358979", "[PHONE]", "V1.3.8", "5000000", "IP 192.168.100.100",
    ],
)  # fmt: skip
def test_other_numbers_are_kept(raw: str) -> None:
    assert cleaned(raw) == [raw.replace("￥", "¥")]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_code_points_round_trip(texts: list[str]) -> None:
    points, lengths = ngrams.code_points(texts)
    assert points.dtype == np.uint32
    assert lengths.tolist() == [len(one) for one in texts]
    assert text.from_code_points(points, lengths).to_pylist() == texts


@given(st.lists(PLAIN))
def test_augment_by_no_rate_changes_nothing(texts: list[str]) -> None:
    assert augmented(texts) == texts


@given(st.lists(PLAIN), RATES, st.integers(0, 9))
def test_swap_keeps_each_rows_characters(texts: list[str], rate: float, seed: int) -> None:
    after = augmented(texts, seed, swap=rate)
    assert [sorted(one) for one in after] == [sorted(one) for one in texts]


@given(st.lists(PLAIN))
def test_swap_of_every_pair(texts: list[str]) -> None:
    swapped = ["".join(one[i + 1 : i + 2] + one[i] for i in range(0, len(one), 2)) for one in texts]
    assert augmented(texts, swap=1.0) == swapped


@given(st.lists(PLAIN), RATES, st.integers(0, 9))
def test_mask_touches_single_characters_in_place(texts: list[str], rate: float, seed: int) -> None:
    after = augmented(texts, seed, mask=rate)
    assert all(new in (old, MASK) for a, b in zip(after, texts, strict=True) for new, old in zip(a, b, strict=True))
    assert augmented(texts, mask=1.0) == [MASK * len(one) for one in texts]


@given(st.lists(PLAIN), RATES, st.integers(0, 9))
def test_delete_leaves_a_subsequence_and_no_row_empty(texts: list[str], rate: float, seed: int) -> None:
    def within(part: str, whole: str) -> bool:
        rest = iter(whole)
        return all(char in rest for char in part)

    after = augmented(texts, seed, delete=rate)
    assert all(within(new, old) for new, old in zip(after, texts, strict=True))
    assert [new == "" for new in after] == [old == "" for old in texts]
    assert augmented(texts, delete=1.0) == texts


@given(st.lists(PLAIN, min_size=1), RATES, RATES, RATES, st.integers(0, 9))
def test_augment_is_determined_by_its_seed_and_row_bound(
    texts: list[str], swap: float, delete: float, mask: float, seed: int
) -> None:
    # Each row has letters of its own: one found in another row leaked.
    own = ["".join(chr(0x4E00 + 100 * row + place) for place in range(len(one))) for row, one in enumerate(texts)]
    first, second = (augmented(own, seed, swap=swap, delete=delete, mask=mask) for _ in range(2))
    assert first == second
    assert all(set(new) <= set(old) | {MASK} for new, old in zip(first, own, strict=True))


@pytest.mark.parametrize("kind", ["swap", "delete", "mask"])
def test_a_rate_is_the_share_of_characters_touched(kind: str) -> None:
    before = "".join(map(chr, range(0x4E00, 0x4E00 + 20000)))
    rate: dict[str, Any] = {kind: 0.3}
    (after,) = augmented([before], **rate)
    touched = len(before) - len(after) if kind == "delete" else sum(a != b for a, b in zip(before, after, strict=True))
    assert touched / len(before) == pytest.approx(0.3, abs=0.02)


@pytest.mark.slow
@every_encoder
@times(0.6)
@given(texts=st.lists(st.one_of(PLAIN, MESSY), max_size=6))
def test_ids_are_in_range_and_padded_at_the_end(one: Encoder, texts: list[str]) -> None:
    ids = one.encode_clean(clean(column(texts)))
    assert ids.dtype == np.int32
    assert ids.shape == (len(texts), one.length)
    assert ((ids >= 0) & (ids < one.size)).all()
    padding = ids == PAD
    assert (np.sort(padding, axis=1) == padding).all(), "an id stands after padding"


@pytest.mark.slow
@every_encoder
@times(0.6)
@given(texts=st.lists(st.one_of(PLAIN, MESSY), min_size=1, max_size=6))
def test_a_row_is_encoded_as_in_its_column(one: Encoder, texts: list[str]) -> None:
    texts = [text for text in texts if cleaned(text) != [""]]
    assert all((one.encode(texts)[place] == one.encode([text])).all() for place, text in enumerate(texts))


@pytest.mark.slow
@every_encoder
@times(0.6)
@given(texts=st.lists(PLAIN, max_size=6))
def test_a_narrow_row_lacks_padding_alone(one: Encoder, texts: list[str]) -> None:
    ready = clean_list(texts)
    full, narrow = one.encode_ready(ready), one.encode_ready(ready, narrow=True)
    longest = max([1, *(full != PAD).sum(1)])
    assert (full.dtype, full.shape) == (narrow.dtype, (len(texts), one.length))
    assert np.array_equal(narrow, full[:, :longest])


@every_encoder
@pytest.mark.parametrize("raw", ["", " \t\n", "<br/>", "\ufeff", "\u200b\u200d", "&nbsp;", "<!-- x -->", "\x00"])
def test_a_text_of_which_nothing_is_left_is_an_error(one: Encoder, raw: str) -> None:
    assert cleaned(raw) == [""]
    with pytest.raises(Nothing, match=r"there is nothing to classify in .*: nothing is left without tags") as caught:
        one.encode(["好", raw])
    assert caught.value.exit_code == EmptyData.exit_code
    assert len(one.encode(["好", "<p>坏"])) == 2


@every_encoder
def test_json_round_trip(one: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(one.as_json(), ensure_ascii=False), encoding="utf-8")
    assert encoders.load(path) == one
    assert one.as_json()["length"] == one.encode(["好"]).shape[1]


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"modality": "image"}', b'{"modality": "text"}'],
)
def test_a_broken_encoder_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "encoder.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"encoder\.json .*run `dvc repro`"):
        encoders.load(path)


@pytest.mark.parametrize(
    ("one", "raw", "expected"),
    [
        (encoder("char", vocabulary=("好", "店")), "店好x", [3, 2, UNKNOWN, 0, 0, 0]),
        (encoder("char", vocabulary=("好", "店"), max_length=2), "好店好店", [2, 3]),
        (encoder("char", vocabulary=("\U00020000",), max_length=2), "\U00020000\U00020001", [2, UNKNOWN]),
        (encoder("char", vocabulary=("好",), stop_words=("的", "店"), max_length=3), "的好店x", [2, UNKNOWN, 0]),
        (encoder("char", vocabulary=("好",), stop_words=("大", "大店"), max_length=3), "大店好", [2, 0, 0]),
        (encoder("char", vocabulary=("好",), stop_words=(".", "\\", "|"), max_length=3), "好.|\\", [2, 0, 0]),
        (encoder("char", vocabulary=("好", "店"), stop_words=("的",), max_length=2), "的的好店", [2, 3]),
        (encoder("word", vocabulary=("酒店", "很")), "酒店 很 好", [2, 3, UNKNOWN, 0, 0, 0]),
        (encoder("word", vocabulary=("酒店", "很"), max_length=1), "酒店很好", [2]),
        (encoder("word", vocabulary=("酒店", "很"), stop_words=("酒店",), max_length=2), "酒店很", [3, 0]),
        (encoder("word", vocabulary=("酒店",), stop_words=("酒",), max_length=2), "酒店", [2, 0]),
    ],
)
def test_ids(one: Encoder, raw: str, expected: list[int]) -> None:
    assert one.encode([raw]).tolist() == [expected]


@pytest.mark.parametrize(
    ("tokenizer", "stop_words", "expected"),
    [
        ("char", (), ("好", "店", "酒", "住", "大")),  # by count, then by code point
        ("char", ("好",), ("店", "酒", "住", "大", "的")),
        ("word", (), ("好", "酒店", "住", "大", "的")),
        ("word", ("好",), ("酒店", "住", "大", "的")),
        ("ngram", (), ()),
    ],
)
def test_fit_takes_the_most_frequent(tokenizer: str, stop_words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    config = block(tokenizer=tokenizer, stop_words=stop_words)
    space = " " if tokenizer == "word" else ""
    texts = [space.join(words) for words in (["酒店", "大", "好"], ["好", "酒店"], ["好", "住", "的"])]
    assert Encoder.fit([text.column(texts)], config, ["bad", "good"]).vocabulary == expected


def test_fit_depends_on_counts_alone() -> None:
    texts = ["好店大", "住好", "店小", "的"]
    one, other = (Encoder.fit([text.column(rows)], block(), ["a", "b"]) for rows in (texts, texts[::-1]))
    assert one == other


FULL = 2**64 - 1


def mixed(value: int) -> int:
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & FULL
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & FULL
    return value ^ (value >> 31)


def slow_ngrams(raw: str, longest: int = 3) -> list[int]:
    """The hashes of the n-grams of one text, one at a time, in Python's whole numbers."""
    hashes = []
    for n in range(1, longest + 1):
        for start in range(len(raw) - n + 1):
            value = 0
            for size, char in enumerate(raw[start : start + n], 1):
                value = (value * 0x100000001B3 + ord(char) + size) & FULL
            hashes.append(value)
    return hashes


def slow_words(raw: str) -> list[int]:
    """The hashes of its words of ASCII, and of pairs of them."""
    found = [
        sum(ord(char) * pow(0x100000001B3, place, 2**64) for place, char in enumerate(word, 1)) & FULL
        for word in re.findall("[a-z0-9]+", raw.lower())
    ]
    pair = 0x9E3779B97F4A7C15
    return [one * pair & FULL for one in found] + [
        (one * pair + other * 0x100000001B3 + pair) & FULL for one, other in itertools.pairwise(found)
    ]


BUCKETS = st.one_of(st.integers(1, 2**31 - 1), st.integers(0, 30).map(lambda power: 2**power))
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9))


@times(3)
@given(TEXTS, BUCKETS, st.integers(1, 6))
@example(["好店" * 3] * 4, 2**30, 3)  # the keys fill 32 bits
@example(["好店" * 3] * 5, 2**30, 3)
def test_hashed_ngrams_are_those_of_a_slow_reference(texts: list[str], buckets: int, grams: int) -> None:
    one = encoder(max_length=6, buckets=buckets, grams=grams)
    expected = [sorted({mixed(value) % buckets + 1 for value in slow_ngrams(raw[:6], grams)}) for raw in texts]
    found = one.encode_clean(pa.array(texts, pa.string()))
    assert found.tolist() == [ids + [PAD] * (one.length - len(ids)) for ids in expected]


@times(3)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), BUCKETS, st.integers(1, 6))
def test_a_text_alone_has_the_ngrams_that_it_has_among_others(raw: str, buckets: int, grams: int) -> None:
    (alone, (count,)), (among, counts) = (ngrams.of_rows(texts, buckets, False, grams) for texts in ([raw], [raw, raw]))
    assert alone.dtype == among.dtype
    assert [count, count] == counts.tolist()
    assert np.array_equal(np.tile(alone, 2), among)


@times(3)
@given(TEXTS, TEXTS, st.integers(1, 2**24), st.integers(1, 5))
def test_ids_are_the_ngrams_of_more_than_one_train_text_with_its_ends(
    train: list[str], others: list[str], buckets: int, grams: int
) -> None:
    def hashed(raw: str) -> set[int]:
        return {mixed(value) % buckets + 1 for value in slow_ngrams(f"\x02{raw[:6]}\x03", grams)} if raw else set()

    counts = Counter(value for raw in train for value in hashed(raw))
    least = min(2, max(counts.values(), default=0))
    ids = {value: place for place, value in enumerate(sorted(one for one in counts if counts[one] >= least), 1)}
    one = encoder(max_length=6, buckets=buckets, grams=grams, kept="").keeping([pa.array(train, pa.string())])
    assert one.size == 1 + len(ids)
    expected = [sorted(ids[value] for value in hashed(raw) & set(ids)) for raw in others]
    column = pa.array(others, pa.string())
    found = one.encode_clean(column)
    assert found.tolist() == [row + [PAD] * (one.length - len(row)) for row in expected]


@times(2)
@given(st.lists(st.text(alphabet="abZ 7.中", max_size=9)), BUCKETS)
@example(["a b c a"] * 4, 2**30)
@example(["a b c a"] * 5, 2**30)
def test_hashed_words_are_those_of_a_slow_reference(texts: list[str], buckets: int) -> None:
    one = encoder(max_length=6, buckets=buckets, words=True)
    slow = [slow_ngrams(raw[:6]) + slow_words(raw[:6]) for raw in texts]
    expected = [sorted({mixed(value) % buckets + 1 for value in hashes}) for hashes in slow]
    found = one.encode_clean(pa.array(texts, pa.string()))
    assert found.tolist() == [ids + [PAD] * (one.length - len(ids)) for ids in expected]


@pytest.mark.parametrize(("max_length", "length"), [(1, 1), (2, 3), (3, 6), (4, 9), (200, 597)])
def test_length_holds_all_ngrams_of_a_full_row(max_length: int, length: int) -> None:
    one = encoder(max_length=max_length, buckets=2**31 - 1)
    assert one.length == length
    different = "".join(chr(0x4E00 + place) for place in range(max_length))
    assert (one.encode([different]) != PAD).all()
    assert (one.encode([different + "好"]) == one.encode([different])).all()


def test_ngrams_spread_over_the_buckets() -> None:
    chars = [chr(0x4E00 + place) for place in range(20000)]
    ids = encoder(max_length=1, buckets=100).encode_clean(pa.array(chars))
    counts = np.bincount(ids.ravel(), minlength=101)[1:]
    assert counts.min() > 120
    assert counts.max() < 280  # 200 each, standard deviation 14


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", ["char", "ngram", "word"])
def test_predicting_imports_nothing_heavy(tokenizer: str) -> None:
    heavy = {"pandas", "tensorflow", "keras", "sklearn", "great_expectations", "dvc"}
    code = f"""
import sys
from luodi.data.text import Encoder
Encoder(("a", "b"), {tokenizer!r}, 9, 97, ("的",), ("好",)).encode(["很&amp;好的酒店13800138000"])
print(*sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert done.stderr == ""


@pytest.mark.slow
def test_jieba_leaves_no_file_in_the_shared_temporary_folder(tmp_path: Path) -> None:
    code = "from luodi.data import text; text._segmenter()('酒店')"
    subprocess.run([sys.executable, "-c", code], check=True, env={"TMPDIR": str(tmp_path), "PATH": ""})
    assert list(Path(tmp_path).iterdir()) == []
