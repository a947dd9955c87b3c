"""Rows that validation held back, as a person reads them: by reason, with their place, and as a table."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from luodi.checks import held_back
from luodi.cli.commands import app
from luodi.data import arrivals
from luodi.errors import ArtifactError, MissingData
from luodi.project.paths import ModelPaths
from luodi.system import progress

ROOT = Path(__file__).parents[3]


def row(place: str | None, number: int, text: str | None, label: str | None, source: str | None, *reasons: str) -> Any:
    values = (f"{label}.parquet", number, text, label, source, place, [*reasons])
    return dict(zip(("shard", "row", "text", "label", "source", "origin", "reasons"), values, strict=True))


ROWS = [
    row("b.csv, line 5", 3, "=HYPERLINK(1)", "good", "+s", "label is unknown", "text holds U+FFFD"),
    row(None, 4, None, None, None, "label is unknown"),
    *(row(f"c.csv, line {line}", line, f"好\n{line}", "-", "@s", "text carries several labels") for line in range(7)),
]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    yield
    progress.silence(False)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelPaths:
    """A project of which validation held back `ROWS`, in several row groups."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    found = ModelPaths(tmp_path, "reviews")
    found.quarantine.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(ROWS), found.quarantine, row_group_size=2)
    return found


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["quarantine", *arguments])
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.mark.usefixtures("paths")
def test_reasons_are_listed_with_the_places_of_some_rows() -> None:
    assert run("reviews").splitlines() == [
        "reviews: 9 rows are held back",
        "  text carries several labels: 7",
        *(f"    c.csv, line {line} [-] 好\\n{line}" for line in range(5)),
        "  label is unknown: 2",
        "    b.csv, line 5 [good] =HYPERLINK(1)",
        "    None.parquet row 4 [(missing)] (missing)",
        "  text holds U+FFFD: 1",
        "    b.csv, line 5 [good] =HYPERLINK(1)",
    ]


@pytest.mark.usefixtures("paths")
def test_programs_are_answered_in_json() -> None:
    found = json.loads(run("reviews", "--json"))
    assert found["rows"] == len(ROWS)
    assert found["reasons"]["text holds U+FFFD"] == {"rows": 1, "examples": ["b.csv, line 5 [good] =HYPERLINK(1)"]}


def test_a_table_has_every_row_and_no_cell_that_is_a_formula(paths: ModelPaths) -> None:
    assert "all of them are in held.csv" in run("reviews", "--csv", "held.csv")
    table = paths.root / "held.csv"
    assert table.read_bytes().startswith(b"\xef\xbb\xbf"), "by which Excel knows UTF-8"
    with table.open(encoding="utf-8-sig", newline="") as file:
        first, *rows = csv.reader(file)
    assert first == ["place", "text", "label", "source", "reasons", "row"]
    assert len(rows) == len(ROWS)
    assert [arrivals.places(row.pop()) for row in rows] == [[(one["shard"], one["row"])] for one in ROWS]
    assert rows[0] == ["b.csv, line 5", "'=HYPERLINK(1)", "good", "'+s", "label is unknown; text holds U+FFFD"]
    assert rows[1] == ["None.parquet row 4", "", "", "", "label is unknown"]
    assert rows[2] == ["c.csv, line 0", "好\n0", "'-", "'@s", "text carries several labels"]


def test_images_are_named_by_where_they_were(paths: ModelPaths) -> None:
    rows = [{**{key: one[key] for key in one if key != "text"}, "image": b"\x00"} for one in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), paths.quarantine)
    assert "    c.csv, line 0 [-] @s" in run("reviews").splitlines()
    held_back.write_csv(held_back.read(paths.quarantine), paths.root / "held.csv")
    assert (paths.root / "held.csv").read_text(encoding="utf-8-sig").splitlines()[0] == "place,label,source,reasons,row"


def test_without_validation_the_command_to_run_is_named(paths: ModelPaths) -> None:
    paths.quarantine.write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match="run `luodi validate reviews` again"):
        run("reviews")
    paths.quarantine.unlink()
    with pytest.raises(ArtifactError, match="does not exist: run `luodi validate reviews` first"):
        run("reviews")


def test_a_batch_is_shown_by_its_file_whole(paths: ModelPaths) -> None:
    paths.data.mkdir(parents=True)
    for number, (name, shard) in enumerate((("week 1.csv", "good.parquet"), ("week 2.csv", "-.parquet"))):
        arrival = arrivals.Arrival(f"{number}abc", [name], 50, 40, 0, {}, {}, [shard])
        path, place = arrivals.write(paths.root, paths.data, number, arrival)
        path.rename(place)
    assert run("show", "reviews", "week 1.csv").splitlines() == [
        "reviews, week 1.csv: 1 of 40 rows are held back",
        "  b.csv, line 5: label is unknown; text holds U+FFFD",
        "    [good] =HYPERLINK(1)",
    ]
    told = run("show", "reviews", "--rows", "2").splitlines()
    assert told[0] == "reviews, week 2.csv: 7 of 40 rows are held back"
    assert told[2] == "    [-] 好\\n0" and told[-1] == "  and 5 more: --rows 7"
    assert run("show", "reviews", "0abc").splitlines()[0].startswith("reviews, week 1.csv")
    with pytest.raises(MissingData, match=r"no batch week 3\.csv: expected one of week 1\.csv, week 2\.csv"):
        run("show", "reviews", "week 3.csv")
