"""The splits that data name themselves."""

from pathlib import Path
from typing import Any

import pytest

from luodi.data.importing import Batch, Row
from luodi.data.statistics import Traits
from luodi.errors import BrokenData
from luodi.scaffold import splitting


def seen(**parts: str) -> Any:
    """Rows of each source: a letter is a row of that class, a digit behind it its text; else every text is its own."""
    found, rows = Traits(), []
    for source, letters in parts.items():
        for place, word in enumerate(letters.split()):
            rows.append(Row(word[1:] or f"{source} {place}", word[0] if word[0] != "?" else None, source))
    found.add(Batch(0, rows))
    return found


@pytest.mark.parametrize(
    ("parts", "shares", "tests", "said"),
    [
        ({"a.csv": "a a b b"}, None, {"a": 0.2, "b": 0.2}, None),
        ({"train": "a a b b", "test": "a b b"}, (0.9, 0.1, 0), {"a": 1, "b": 2},
         "`test` is the test split (3 rows); of the other 4 a part by content is validation"),
        ({"train": "a a b b", "val": "a b b"}, (0.9, 0, 0.1), {"a": 0.2, "b": 0.2},
         "`val` is the validation split (3 rows); of the other 4 a part by content is test"),
        ({"train": "a a b b", "val": "a b b", "test": "a"}, (1, 0, 0), {"a": 1},
         "`test` is the test split (1 rows) and `val` is the validation split (3 rows)"),
        ({"train": "a b", "test": "? ?"}, None, {"a": 0.1, "b": 0.1},
         "rows of test are split as the others: none of them has a label, or all rows are of it"),
        ({"test": "a b"}, None, {"a": 0.1, "b": 0.1}, None),
        # of equal rows the one of the test split counts, one with two labels nowhere
        ({"train": "a1 a2 b3 b4", "test": "a1 b5 b3 b5"}, (0.9, 0.1, 0), {"a": 1, "b": 2}, "`test` is the test"),
        ({"train": "a1 a2 b3 b4", "test": "b1 b3 a6"}, (0.9, 0.1, 0), {"a": 1, "b": 1}, "`test` is the te"),
    ],
)  # fmt: skip
def test_what_the_data_say_of_their_splits(parts: Any, shares: Any, tests: Any, said: Any) -> None:
    found = splitting.of(seen(**parts), Path("x"))
    settings: dict[str, Any]
    settings = {} if shares is None else {"shares": dict(zip(("train", "validation", "test"), shares, strict=True))}
    settings |= {"test_source": "test"} if shares and not shares[2] else {}
    settings |= {"validation_source": "val"} if shares and not shares[1] else {}
    settings |= {} if shares else {"split": {"near_copies": "join"}}
    assert found.settings == settings
    assert found.tests == pytest.approx(tests)
    told = [line for line in found.told if line != "rows that are nearly alike stand in one split"]
    assert (told == []) if said is None else told[0].startswith(said)


def test_near_copies_stand_together_unless_the_data_name_a_split() -> None:
    """A split that was given is taken as it is."""
    found = splitting.of(seen(x="a a b b"), Path("x"), ["author"])
    assert found.settings == {"split": {"by": ["author"], "near_copies": "join"}}
    assert found.told[0] == "rows that are nearly alike stand in one split"
    found = splitting.of(seen(train="a a b b", test="a b"), Path("x"))
    assert "split" not in found.settings


def test_rows_that_will_be_learned_from_are_counted() -> None:
    found = splitting.of(seen(x="a1 a1 a2 b3 b3 b3 b4 a5 b5 c6 ?"), Path("x"))
    assert dict(found.learned) == {"a": 2, "b": 2, "c": 1}


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_class_that_only_an_official_split_has_is_refused(part: Any) -> None:
    with pytest.raises(BrokenData, match=f"x: c is a class that only the rows of {part} have: add rows to learn it"):
        splitting.of(seen(train="a b", **{part: "a c"}), Path("x"))
