"""How labels are read, and what is asked of them."""

import unicodedata
from typing import Any

import pytest

from luodi.data.labels import Labels, doubts

COMPOSED, APART = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def test_the_map_that_is_shown_joins_every_group() -> None:
    """Seven of eight moods, each in small letters and in large ones."""
    moods = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    (said,) = doubts({name: 1 + place for place, mood in enumerate(moods) for name in (mood, mood.upper())})
    assert "and 4 more; one class each with" in said
    assert all(f'"{mood.upper()}": "{mood}"' in said or f'"{mood}": "{mood.upper()}"' in said for mood in moods)


def test_an_accent_of_its_own_is_the_letter_with_it_and_it_is_told() -> None:
    labels = Labels()
    assert [labels.read(one, "x") for one in (COMPOSED, APART)] == [COMPOSED] * 2
    assert labels.told()[0].endswith(f"as {COMPOSED} (1)")
    assert Labels({APART: "shop"}).read(COMPOSED, "x") == "shop"


@pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
def test_nothing_is_no_label(value: Any) -> None:
    assert Labels().read(value, "x") is None


def test_a_label_is_taken_for_none_where_a_person_says_so() -> None:
    labels = Labels({"NA": None})
    assert [labels.read(one, "x") for one in ("NA", "yes", " NA ")] == [None, "yes", None]
    assert labels.told() == []


def test_labels_that_a_map_leaves_out_are_told() -> None:
    labels = Labels({"1": "positiv"})
    assert [labels.read(one, "x") for one in ("1", "0")] == ["positiv", "0"]
    assert labels.told() == ["labels that --label-map does not name stay as they are: 0"]


def test_classes_that_look_alike_are_told_with_what_joins_them() -> None:
    (said,) = doubts({"Spam": 3, "spam": 40, "ＳＰＡＭ": 2, "ham": 9, "very  good": 1, "very good": 5})
    assert (
        "case, width, spaces or invisible characters alone: spam (40), Spam (3), ＳＰＡＭ (2); very good (5), " in said
    )
    option = said.partition("with --label-map ")[2]
    assert option == """'{"Spam": "spam", "ＳＰＡＭ": "spam", "very  good": "very good"}'"""


def test_what_nobody_sees_in_a_label_is_told_so_that_it_can_be_typed() -> None:
    (said,) = doubts({"spam": 2, "sp\u200bam": 1})
    assert said.endswith("""with --label-map '{"sp\\u200bam": "spam"}'""")


@pytest.mark.parametrize("label", ["NA", "N/A", "null", "NaN", "nan", "None", "-", "#N/A", "<NA>", "Ｎ／Ａ"])
def test_a_label_that_may_mean_none_is_a_class_and_is_told(label: Any) -> None:
    assert Labels().read(label, "x") == label
    (said,) = doubts({"yes": 5, label: 12})
    assert (
        said
        == f"""classes that may stand for no label: {label} (12); no class with --label-map '{{"{label}": null}}'"""
    )


def test_of_classes_that_are_plain_nothing_is_told() -> None:
    assert doubts({"a": 1, "b": 2, "1": 3, "01": 4, "naïve": 5, "naive": 6}) == []


def test_what_is_told_is_bounded() -> None:
    (said,) = doubts({name + "x" * 200: 1 for number in range(50) for name in (f"a{number}", f"A{number}")})
    assert "; and 47 more; one class each" in said and len(said) < 10_000
