"""The note of a run: what came of it, in a line."""

from types import SimpleNamespace
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
        ({"decision": {**PROMOTE["decision"], "dry": True}}, None, "nothing landed: a dry run says promote"),
    ],
)  # fmt: skip
def test_a_note_says_what_landed_or_why_nothing_did(gate: Any, register: Any, said: str) -> None:
    from luodi.airflow import run_note  # here: Airflow takes seconds, in each worker of pytest

    assert run_note.said(gate, register) == said


def test_a_note_is_as_long_as_airflow_takes() -> None:
    from luodi.airflow import run_note

    long = {"decision": {"verdict": "hold", "reasons": ["x" * 5000]}}
    assert len(run_note.said(long, None)) <= 1000


@pytest.mark.parametrize(
    ("run_id", "before", "left", "after"),
    [
        ("scheduled__1", None, {"validate": {"nothing_new": "nothing changed"}}, "nothing changed"),
        ("scheduled__1", "mine", {"validate": {"nothing_new": "nothing changed"}}, "mine"),
        ("new_rows__1", "2 files came", {"gate": PROMOTE}, "2 files came; nothing landed: promote"),
        ("new_rows__1", "2 files came", {}, "2 files came"),
        ("scheduled__1", None, {"validate": {"entries": {}}}, None),
    ],
)
def test_a_note_keeps_why_a_run_is_there_and_what_a_person_wrote(
    run_id: str, before: str | None, left: Any, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luodi.airflow import run_note

    monkeypatch.setattr(run_note, "_left", lambda run, session: left)
    run: Any = SimpleNamespace(run_id=run_id, note=before)
    run_note.note(run, run)
    assert run.note == after
