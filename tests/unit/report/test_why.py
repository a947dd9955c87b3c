"""An explanation on a page: words and regions by what they add, in colours and in words."""

from typing import Any

import pytest

from luodi.report import why

TEXT = "很好 <b>，but too late"


def explained(*adds: tuple[int, int, float], **more: Any) -> dict[str, Any]:
    parts = [{"start": start, "end": end, "text": TEXT[start:end], "adds": one} for start, end, one in adds]
    return {"label": "good", "probability": 0.75, "parts": parts} | more


def test_all_of_a_text_stands_there_and_what_adds_little_has_no_colour() -> None:
    view = why.shown(explained((0, 1, 2.0), (1, 2, -1.0), (4, 5, 0.05), (7, 10, 0.5)), TEXT)
    assert "".join(piece["text"] for piece in view["pieces"]) == TEXT
    strong = {piece["text"]: piece["strength"] for piece in view["pieces"] if piece["strength"]}
    assert strong == {"很": 100, "好": 50, "but": 25}
    assert (view["speak_for"], view["speak_against"]) == (["很 +2.00", "but +0.50"], ["好 −1.00"])
    assert not view["cut"]


def test_a_long_text_ends_where_a_page_ends() -> None:
    whole = "a" * 1000
    parts = [{"start": at, "end": at + 100, "text": "a" * 100, "adds": 1.0} for at in range(0, 1000, 100)]
    view = why.shown({"label": "x", "probability": 1.0, "parts": parts}, whole)
    assert (sum(len(piece["text"]) for piece in view["pieces"]), view["cut"]) == (why.LONGEST, True)


def test_nothing_that_adds_is_no_error() -> None:
    view = why.shown(explained((0, 2, 0.0)), TEXT)
    assert (view["speak_for"], view["speak_against"]) == ([], [])
    assert why.shown(explained(), TEXT)["pieces"] == [{"text": TEXT, "adds": 0.0, "strength": 0}]


@pytest.mark.parametrize("label", ["good", "<script>alert(1)</script>"])
def test_a_page_loads_nothing_and_runs_nothing(label: str) -> None:
    html = why.page(explained((0, 1, 2.0), (3, 6, -1.0), label=label), TEXT, "reviews@v1.0.0")
    assert "<script" not in html
    assert "src=" not in html
    assert "&lt;b&gt;" in html


def test_regions_are_named_by_where_they_stand() -> None:
    parts = [{"top": top, "bottom": top + 4, "left": left, "right": left + 4, "adds": adds}
             for top, left, adds in ((0, 0, 0.1), (0, 4, -2.0), (4, 0, 3.0), (4, 4, 0.0))]  # fmt: skip
    found = {"label": "7", "probability": 0.9, "height": 8, "width": 8, "parts": parts}
    view = why.shown(found, "data:image/png;base64,AA==")
    assert (view["speak_for"], view["speak_against"]) == (["row 2, column 1 +3.00"], ["row 1, column 2 −2.00"])
    html = why.page(found, "data:image/png;base64,AA==", "digits@v1.0.0")
    assert html.count("<rect") == 2
    assert 'href="data:image/png;base64,AA=="' in html
