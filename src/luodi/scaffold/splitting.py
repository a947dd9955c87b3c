"""Which rows of a new model are the test and validation rows: those that its data call so, else a part by content."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luodi.config import Shares
from luodi.data.statistics import Traits
from luodi.errors import BrokenData
from luodi.terminal import shown

TEST, VALIDATION = "test", "val"
"""Sources of rows that were chosen before, see `luodi.data.columns.SPLITS`."""


@dataclass(frozen=True)
class Split:
    """What is known of the splits before any row is cleaned.

    Attributes:
        settings: Of block preprocess, where the data names its splits; and what stands together.
        learned: Rows of each class that will be used, in any split.
        tests: About how many of them will be test rows.
        told: What a person is to know, a line each.
    """

    settings: dict[str, Any]
    learned: Counter[str]
    tests: dict[str, float]
    told: list[str]

    @property
    def tests_given(self) -> bool:
        """Whether the data say which rows are the test rows."""
        return "test_source" in self.settings


def of(seen: Traits, where: Path, groups: Sequence[str] = ()) -> Split:
    """Return what the rows seen say of their splits; rows of `test` and `val` count where others are left to train on.

    Rows that are nearly alike stand together; not where the data names a split, which is taken as it is: the leak meter
    says what it is worth.

    Args:
        groups: Columns whose equal values keep rows together.

    Raises:
        BrokenData: A class has no row to learn from.
    """
    by_source = seen.learned([TEST, VALIDATION])
    learned = sum(by_source.values(), Counter[str]()) or Counter(seen.counts)
    given = [name for name in (TEST, VALIDATION) if by_source.get(name)]
    rest = sum((counts for name, counts in by_source.items() if name not in given), Counter[str]())
    if not rest:
        given, rest = [], learned
    if unlearnt := sorted(learned.keys() - rest.keys()):
        raise BrokenData(
            f"{where}: {shown(unlearnt[0], 60)} is a class that only the rows of {' and '.join(given)} have: "
            "add rows to learn it from, or take those away"
        )
    shares = _shares(given)
    tests = by_source[TEST] if TEST in given else {label: shares["test"] * count for label, count in rest.items()}
    settings: dict[str, Any] = {"shares": shares} if given else {}
    settings |= {"test_source": TEST} if TEST in given else {}
    settings |= {"validation_source": VALIDATION} if VALIDATION in given else {}
    together: dict[str, Any] = {"by": list(groups)} if groups else {}
    together |= {} if given else {"near_copies": "join"}
    settings |= {"split": together} if together else {}
    counts = {name: by_source[name].total() for name in given}
    of_each = Counter({label: learned[label] for label in seen.labels})
    told = ["rows that are nearly alike stand in one split"] if "near_copies" in together else []
    told += [f"rows that share a value of `{shown(name, 60)}` stand in one split" for name in groups]
    return Split(settings, of_each, dict(tests), told + _told(counts, seen.sources, rest.total()))


def _shares(given: list[str]) -> dict[str, float]:
    """What each split owns of the rows that are in none yet."""
    usual = Shares()
    test = 0.0 if TEST in given else usual.test
    validation = 0.0 if VALIDATION in given else usual.validation
    return {"train": round(1 - test - validation, 6), "validation": validation, "test": test}


def _told(counts: dict[str, int], sources: Counter[str], rest: int) -> list[str]:
    names = {TEST: "test", VALIDATION: "validation"}
    if len(sources) > 1 and (unused := [name for name in names if name in sources and name not in counts]):
        return [f"rows of {unused[0]} are split as the others: none of them has a label, or all rows are of it"]
    if not counts:
        return []
    said = " and ".join(f"`{name}` is the {names[name]} split ({count:,} rows)" for name, count in counts.items())
    missing = [name for key, name in names.items() if key not in counts]
    return [f"{said}; of the other {rest:,} a part by content is {missing[0]}" if missing else f"{said}"]
