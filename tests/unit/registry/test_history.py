"""What became of a version, in a sentence."""

from datetime import UTC, datetime, timedelta

import pytest

from luodi.registry import history
from luodi.registry.tags import Move, Version

BEGAN = datetime(2026, 11, 1, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def moves(*numbers: str, **of_last: str) -> list[Move]:
    found = [Move(place, number, BEGAN + timedelta(days=place), "Ada", {"action": "land"})
             for place, number in enumerate(numbers)]  # fmt: skip
    return [*found[:-1], *(Move(one.place, one.number, one.at, one.by, of_last or one.facts) for one in found[-1:])]


@pytest.mark.parametrize(
    ("number", "stage", "path", "told"),
    [
        ("v1.1.0", "production", moves("v1.0.0", "v1.1.0"), "In production since 2026-11-02 09:00 UTC"),
        ("v1.0.0", None, moves("v1.0.0", "v1.1.0"), "Superseded, 2026-11-02 09:00 UTC, by m@v1.1.0"),
        ("v1.1.0", None, moves("v1.0.0", "v1.1.0", "v1.0.0", action="rollback", reason="it missed refunds"),
         "Rolled back, 2026-11-03 09:00 UTC, by m@v1.0.0: it missed refunds"),
        ("v1.2.0", None, moves("v1.0.0"), "Registered, and not in production"),
    ],
)  # fmt: skip
def test_what_became_of_a_version(number: str, stage: str | None, path: list[Move], told: str) -> None:
    version = Version("m", number, "0" * 40, BEGAN, "Ada", stage, {})
    assert history.standing(version, path, NOW) == f"{told} (as of 2026-11-28 00:00 UTC)."
