"""Each page of a decision answers what is to be done now, by whom and where, by itself."""

import re
from typing import Any

import pytest

from luodi.registry import acting, card, gate_sections
from luodi.registry.acting import Where
from luodi.report import language

NAMES = re.compile(r"<[^>]*>|luodi \w+( m)?|dvc repro|retrain_m|register.approval|Airflow|auto|"
                   "human|Required Actions")  # fmt: skip


def decision(verdict: str, mode: str | None, *, dry: bool = False) -> dict[str, Any]:
    why = [] if verdict in ("promote", "unchanged") else ["it is not proven", "what to do: run `luodi evaluate` again"]
    told = {} if mode is None else {"approval": mode, "dry": dry}
    return {"verdict": verdict, "reasons": why, "champion": None, "checks": [], **told}


@pytest.mark.parametrize(
    ("verdict", "mode", "dry", "where", "came", "said"),
    [
        ("promote", "auto", False, "airflow", "", "nothing, for `register.approval` is auto: it lands by itself."),
        ("promote", "human", False, "airflow", "", "waits for a person. Whoever may edit runs of `retrain_m` approves"),
        ("promote", "auto", True, "checkout", "", "`luodi register m` lands it; it asks nobody"),
        ("promote", "human", True, "checkout", "", "`luodi register m` lands it; it asks you first"),
        ("promote", "auto", True, "run", "", "What `luodi run m` makes lands by itself"),
        ("promote", "human", True, "run", "", "What `luodi run m` makes waits for a person"),
        ("promote", "human", False, "run", "rejected", "nothing, for a person rejected it"),
        ("promote", "human", False, "run", "waiting for approval", "`luodi up` starts Airflow"),
        ("promote", None, False, "airflow", "", "nothing where `register.approval` is auto"),
        ("hold", "human", False, "run", "hold", "run `luodi evaluate` again. Then `luodi run m` judges it again."),
        ("hold", "auto", True, "checkout", "", "Then `dvc repro` and `luodi gate m` judge it again."),
        ("hold", "auto", False, "airflow", "", "Then the next run of `retrain_m` judges it again."),
        ("insufficient evidence", "auto", False, "run", "", "run `luodi evaluate` again. Then"),
        ("insufficient evidence", "human", False, "airflow", "", "land nevertheless. `register.approval` is human"),
        ("unchanged", "auto", False, "run", "", "nothing, for it is in production already."),
    ],
)  # fmt: skip
def test_a_decision_says_what_to_do(  # noqa: PLR0917, each is another thing
    verdict: str, mode: str | None, dry: bool, where: Where, came: str, said: str
) -> None:
    facts = decision(verdict, mode, dry=dry)
    todo = acting.todo("m", facts, where, came)
    assert said in todo
    page, summary = card.comparison("m", facts, todo=todo), card.summary(facts, todo)
    assert page.count("What to do:") == summary.count("What to do:") == 1
    assert "what to do:" not in page + summary, "once is enough"
    assert gate_sections.judged(facts, todo)["todo"] == todo
    for told in (language.translated(page, "zh"), language.markdown(summary, "zh").replace("\\", "")):
        asked = NAMES.sub("", told.partition("怎么办：")[2].partition("\n")[0])
        assert asked and not re.search("[A-Za-z]{2}", asked)


def test_of_a_decision_that_nobody_knows_nothing_is_asked() -> None:
    assert not acting.todo("m", {}) and "What to do" not in card.comparison("m", {})
