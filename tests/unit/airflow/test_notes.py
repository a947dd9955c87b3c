"""The note of a run: what came of it, in a line."""

from typing import Any

import pytest

HELD = {"decision": {"verdict": "hold", "reasons": ["accuracy 0.61 is below the minimum 0.99", "what to do: more"]}}
PROMOTE = {"decision": {"verdict": "promote", "reasons": []}}


@pytest.mark.parametrize(
    ("gate", "register", "said"),
    [
        (PROMOTE, {"version": "m@v1.1.0", "new": True, **PROMOTE}, "landed m@v1.1.0"),
        (PROMOTE, {"version": "m@v1.0.0", "new": False, **PROMOTE}, "m@v1.0.0 is this model already"),
        (HELD, None, "nothing landed: hold; accuracy 0.61 is below the minimum 0.99; what to do: more"),
        (PROMOTE, {"version": None, "new": False, **HELD},
         "nothing landed: hold; accuracy 0.61 is below the minimum 0.99; what to do: more"),
        (PROMOTE, None, "nothing landed: promote"),
    ],
)  # fmt: skip
def test_a_note_says_what_landed_or_why_nothing_did(gate: Any, register: Any, said: str) -> None:
    from luodi.airflow import notes  # here: Airflow takes seconds, in each worker of pytest

    assert notes.said(gate, register) == said


def test_a_note_is_as_long_as_airflow_takes() -> None:
    from luodi.airflow import notes

    long = {"decision": {"verdict": "hold", "reasons": ["x" * 5000]}}
    assert len(notes.said(long, None)) <= 1000
