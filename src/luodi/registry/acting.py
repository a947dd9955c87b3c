"""What is to be done about a decision of the gate: whether it lands by itself, who may say so otherwise, and where."""

from collections.abc import Mapping
from typing import Any, Literal

from luodi.registry.records import Verdict
from luodi.report.formatting import at, text, texts

Facts = Mapping[str, Any]
Where = Literal["checkout", "airflow", "run"]
"""Who reads it: of `luodi gate`, of a run that Airflow has not ended, of one that ended and landed nothing."""

ADVICE = "what to do: "
AGAIN = {
    "checkout": "Then `dvc repro` and `luodi gate {}` judge it again",
    "airflow": "Then the next run of `retrain_{}` judges it again",
    "run": "Then `luodi run {}` judges it again",
}
ASKED = (
    "`register.approval` is human, so it waits for a person. Whoever may edit runs of `retrain_{}` approves or rejects "
    "it in Airflow, under Required Actions; no answer in time is a rejection"
)
CAME = {
    "rejected": "nothing, for a person rejected it, or nobody answered in time. `luodi run {}` asks once more where "
    "rows, settings or code are new",
    "waiting for approval": "answer, for it waits for a person. `luodi up` starts Airflow, where Required Actions asks",
}


def reasons(decision: Facts) -> list[str]:
    """Why it may not land, without what a person may do about it."""
    return [one for one in texts(decision, "reasons") if not one.startswith(ADVICE)]


def todo(model: str, decision: Facts, where: Where = "run", came: str = "") -> str:
    """Say what is to be done now, in sentences; commands and settings stand between backticks.

    Args:
        model: Name of the model.
        decision: See `luodi.registry.records.Decision`, as JSON; any part of it may be missing.
        where: Who reads it.
        came: What came of the run, where that is not what the gate said: "rejected" or "waiting for approval".
    """
    verdict = text(at(decision, "verdict"))
    if came in CAME:
        said = CAME[came].format(model)
    elif verdict == Verdict.UNCHANGED:
        said = "nothing, for it is in production already"
    elif verdict == Verdict.PROMOTE:
        said = _landing(model, decision, where)
    elif verdict == Verdict.INSUFFICIENT and at(decision, "approval") == "human":
        said = f"wait for more rows, or let it land nevertheless. {_landing(model, decision, where)}"
    else:
        said = _advice(model, decision, where)
    return f"{said}." if said else ""


def _advice(model: str, decision: Facts, where: Where) -> str:
    told = [one.removeprefix(ADVICE) for one in texts(decision, "reasons") if one.startswith(ADVICE)]
    return f"{told[0]}. {AGAIN[where].format(model)}" if told else ""


def _landing(model: str, decision: Facts, where: Where) -> str:
    """How what may land does."""
    mode, dry = at(decision, "approval"), at(decision, "dry") is True
    if mode not in ("auto", "human"):  # an older luodi decided
        return (
            "nothing where `register.approval` is auto, for it lands by itself; approve it or reject it where that is "
            "human"
        )
    asks = "asks you first" if mode == "human" else "asks nobody"
    if where == "checkout":
        return f"`luodi register {model}` lands it; it {asks}, for `register.approval` is {mode}"
    if dry:
        asks = "waits for a person" if mode == "human" else "lands by itself"
        return (
            f"this run was to try, and lands nothing. What `luodi run {model}` makes {asks}, for `register.approval` "
            f"is {mode}"
        )
    return ASKED.format(model) if mode == "human" else "nothing, for `register.approval` is auto: it lands by itself"
