"""Rows whose label the others contradict, as the page of a run tells of them."""

from typing import Any

import numpy as np

from luodi.registry import changed_answers, doubts
from luodi.registry.records import Decision, Verdict

LABELS = ("cat", "dog")


def decision(rows: int) -> dict[str, Any]:
    """Of so many rows of which each tenth is called a cat, and is a dog by all that is known of it."""
    label = (np.arange(rows) % 2).astype(np.int32)
    sure = 0.7 + np.arange(rows) / rows / 10  # the last of them are the surest
    own = np.where(np.arange(rows) % 10 == 0, 1 - sure, 0.6)
    found = np.where(label[:, None] == np.arange(2), own[:, None], 1 - own[:, None]).astype(np.float32)
    told = doubts.of(label, found, np.arange(rows) + 100, LABELS)
    made = Decision(verdict=Verdict.HOLD, reasons=(), champion=None, rule={}, checks=(), comparison=None, metrics={},
                    latency_ms=1.0, doubts=told)  # fmt: skip
    return Decision.from_json(made.to_json()).to_json()


def test_the_most_suspicious_stand_first_and_say_what_is_known() -> None:
    found = decision(40)
    assert changed_answers.named(found)
    rows = {
        place: changed_answers.Row(f"<b>{place}</b>", f"a.csv, line {place}")
        for place in changed_answers.doubted(found)
    }
    section = doubts.section("pets", found, rows)
    assert section
    assert (
        section.lead.startswith("4 of the 40 rows that the linear baseline was not fitted on")
        and "4 of them" not in section.lead
    )
    cells = [[cell.text for cell in line] for line in section.tables[0].rows]
    assert cells == [[f"<b>{place}</b>", "cat", "dog"] for place in (130, 120, 110, 100)]
    assert [cell.soft for cell in section.tables[0].rows[0]] == ["", "22%", "78%"]
    assert "luodi labels review pets --csv doubts.csv" in section.note


def test_a_decision_keeps_the_places_of_few_rows_and_a_page_tells_of_those_that_are_there() -> None:
    found = decision(1000)
    assert found["doubts"]["found"] == 100 and len(found["doubts"]["shown"]) == doubts.SHOWN
    rows = {place: changed_answers.Row(b"png", f"{place}.png") for place in list(changed_answers.doubted(found))[:3]}
    section = doubts.section("pets", found, rows)
    assert section and "100 of the 1,000 rows" in section.lead and section.lead.endswith("first: 3 of them.")
    assert [line[0].text for line in section.tables[0].rows] == ["1090.png", "1080.png", "1070.png"]
    assert doubts.section("pets", found, {}) is None


def test_a_decision_of_an_older_luodi_or_one_that_was_changed_by_hand_tells_of_none() -> None:
    broken: list[Any] = [None, 3, {}, [3, None, {"place": "x"}, {"place": -1}]]
    for shown in broken:
        assert changed_answers.doubted({"doubts": {"shown": shown}}) == {}
    assert changed_answers.doubted({}) == {} == changed_answers.doubted({"doubts": None})
