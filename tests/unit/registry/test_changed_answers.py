"""Rows that are newly right or wrong: their places in a decision, what they hold on the page alone."""

import base64
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luodi.config import Gate
from luodi.registry import card, changed_answers, evidence
from luodi.registry.records import Decision, Turned, Verdict
from luodi.scoring.scored import Scored

LABELS = ("cat", "dog", "owl")


def said(truth: list[int], predicted: list[int], sure: list[float]) -> Scored:
    """Rows of which a classifier says `predicted`, as `sure` as that."""
    scores = np.repeat((1 - np.array(sure))[:, None] / 2, 3, 1)
    scores[np.arange(len(sure)), predicted] = sure
    return Scored(np.array(truth), scores)


def both() -> tuple[Scored, Scored]:
    truth = [0, 0, 1, 1, 2, 2]
    challenger = said(truth, [1, 1, 1, 1, 0, 2], [0.6, 0.9, 0.9, 0.9, 0.8, 0.9])
    champion = said(truth, [0, 0, 1, 0, 1, 2], [0.9] * 6)
    return challenger, champion


def test_rows_turn_where_one_of_the_two_alone_is_right_and_the_surest_mistake_comes_first() -> None:
    found = changed_answers.of(*both(), LABELS, np.arange(10, 16))
    assert found == (
        Turned(truth="cat", challenger="dog", champion="cat", rows=2, places=(11, 10)),
        Turned(truth="dog", challenger="dog", champion="cat", rows=1, places=(13,)),
    )


def test_of_many_rows_the_surest_alone_are_kept_and_all_are_counted() -> None:
    rows = changed_answers.PLACES + 50
    one, other = said([0] * rows, [1] * rows, [0.9] * rows), said([0] * rows, [0] * rows, [0.9] * rows)
    (found,) = changed_answers.of(one, other, LABELS, np.arange(rows))
    assert found.rows == rows and len(found.places) == changed_answers.PLACES


def page_of(tmp_path: Path, column: pa.Array) -> str:
    path = tmp_path / "rows.parquet"
    origin = [None, None, "a.csv, line 4", *[None] * 11]
    pq.write_table(pa.table({column[0]: column[1], "source": ["shop"] * 14, "origin": origin}), path)
    challenger, champion = both()
    rule = Gate(min_slice_rows=1, min_class_rows=1)
    found = evidence.compare(challenger, champion, LABELS, {}, rule)
    found = found.model_copy(
        update={"turned": changed_answers.of(challenger, champion, LABELS, np.array([9, 2, 3, 4, 5, 6]))}
    )
    decision = Decision(verdict=Verdict.HOLD, reasons=(), champion="m@v1.0.0", rule=rule.model_dump(mode="json"),
                        checks=(), comparison=found, metrics={}, latency_ms=1.0)  # fmt: skip
    facts = Decision.from_json(decision.to_json()).to_json()
    return card.comparison("m", facts, changed_answers.read(path, facts))


def test_the_page_shows_what_turned_and_gives_it_as_a_sheet(tmp_path: Path) -> None:
    text = page_of(tmp_path, ("text", [f"<i>{row}</i>" for row in range(9)] + ["=1+1"] + ["x"] * 4))
    assert "Rows newly wrong: 2" in text and "Rows newly right: 1" in text
    assert "&lt;i&gt;2&lt;/i&gt;" in text and "a.csv, line 4" in text and "<i>" not in text
    sheet = re.search(r'download="newly-wrong.csv" href="data:text/csv;charset=utf-8;base64,([^"]*)"', text)
    assert sheet
    lines = base64.b64decode(sheet[1]).decode("utf-8-sig").splitlines()
    assert lines == ["where,truth,challenger,champion,text", "\"a.csv, line 4\",cat,dog,cat,<i>2</i>",
                     "shop,cat,dog,cat,'=1+1"]  # fmt: skip


def test_beside_the_baseline_the_sheet_and_the_page_say_so() -> None:
    kind = {"truth": "a", "challenger": "a", "champion": "b", "rows": 1, "places": [0]}
    _, right = changed_answers.view({"turned": [kind]}, {0: changed_answers.Row("x", "f.csv, line 2")})
    head, _ = base64.b64decode(right["sheet"].partition(",")[2]).decode("utf-8-sig").splitlines()
    assert head == "where,truth,challenger,baseline,text"
    assert "The linear baseline's mistakes: a taken for b: 1." in html.unescape(
        card.comparison("m", {"turned": [kind]})
    )


def test_images_are_shown(tmp_path: Path) -> None:
    text = page_of(tmp_path, ("image", [b"png"] * 14))
    assert text.count('src="data:image/png;base64,') == 3


def test_without_its_rows_a_page_says_where_they_are(tmp_path: Path) -> None:
    assert changed_answers.read(tmp_path / "rows.parquet", {"comparison": {"turned": [{"places": [1]}]}}) == {}
    kinds = [{"truth": "a", "challenger": "b", "champion": "a", "rows": 3, "places": [1, "x", -1]}, "odd"]
    text = card.comparison("m", {"comparison": {"turned": kinds}})
    assert "Rows newly wrong: 3" in text and "luodi gate m" in text
    assert "Rows newly" not in card.comparison("m", {"comparison": {}})  # of an older luodi


@pytest.mark.slow
def test_rows_are_read_without_pandas(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "source": ["s", "t"]}), tmp_path / "rows.parquet")
    decision = {"comparison": {"turned": [{"places": [1]}]}}
    code = (
        "import sys, json, pathlib; from luodi.registry import changed_answers; "
        "rows = changed_answers.read(pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])); "
        "print({place: (row.item, row.where) for place, row in rows.items()}, 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "rows.parquet"), json.dumps(decision)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "{1: ('b', 't')} False"
