"""The rows of a run beside those of the version in production."""

from luodi.registry import new_rows


def told(before: dict[str, object], now: dict[str, object]) -> dict[str, list[str]]:
    found = new_rows.rows("m@v1.0.0", before, now)
    return {row[0].text: [cell.text for cell in row[1:]] for row in found.tables[0].rows} if found else {}


def test_rows_are_told_beside_those_of_the_version_in_production() -> None:
    before = {"rows": 1000, "clean": 990, "usable": 500, "quarantined": 10, "duplicates": 490, "held": {"a": 10}}
    now = {"rows": 1500, "clean": 1470, "usable": 480, "quarantined": 30, "duplicates": 990,
           "held": {"b": 25, "a": 5}, "masked": {"[PHONE]": 3}}  # fmt: skip
    found = told(before, now)
    assert found["Rows"] == ["1,000", "1,500", "+500"] and found["Of use, each once"] == ["500", "480", "−20"]
    assert found["held back: a"] == ["10", "5", "−5"] and found["held back: b"] == ["0", "25", "+25"]
    assert not any("masked" in name for name in found), "of an older luodi it is not known that there was none"


def test_of_a_version_whose_tag_says_nothing_of_its_rows_nothing_is_told() -> None:
    assert new_rows.rows("m@v1.0.0", {}, {"rows": 3}) is None and new_rows.rows("m@v1.0.0", {"rows": 3}, {}) is None
    assert told({"rows": 3}, {"rows": 3})["Clean"] == ["not recorded", "not recorded", "not recorded"]


def test_that_nothing_changed_is_said() -> None:
    counts = {"rows": 9, "clean": 8, "usable": 7, "quarantined": 1, "duplicates": 0, "held": {"a": 1}}
    same, other = (new_rows.rows("m@v1.0.0", counts, counts | {"held": {name: 1}}) for name in "ab")
    assert same and same.lead.startswith("Nothing changed")
    assert other and "Nothing" not in other.lead, "another row is held back"
