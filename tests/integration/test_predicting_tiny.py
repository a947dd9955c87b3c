"""The files of a date, from an inbox by date to answers beside them: a real registry, its tasks in this process."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from actors import World
from PIL import Image
from pydantic import ValidationError

from luodi.config import Predict

Run = Callable[..., dict[str, Any]]
TEXTS = {"a.parquet": ["001acegik", "002bdfhjl"], "b.csv": ["003acegik"], "sub/c.parquet": ["004bdfhjl"] * 3}


def write(folder: Path, **changed: list[str]) -> None:
    for name, texts in (TEXTS | changed).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table({"id": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())})
        pq.write_table(table, path) if path.suffix == ".parquet" else pyarrow.csv.write_csv(table, path)


@pytest.fixture
def run(two: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of `predict_quick` on 2026-11-28: what its tasks return, `between` done after the first of them."""
    from luodi.airflow import operators, predicting

    monkeypatch.setattr(operators, "Runner", lambda *given: two.runner)
    for name, value in two.origin.environment().items():
        monkeypatch.setenv(name, value)

    def ran(conf: dict[str, Any] | None = None, between: Callable[[], object] = list, **given: Any) -> dict[str, Any]:
        block = Predict(**{"input": f"{tmp_path}/in/{{date}}/**/*", "output": f"{tmp_path}/out/{{date}}"} | given)
        due = datetime(2026, 11, 28, tzinfo=UTC)
        context: Any = {"dag_run": SimpleNamespace(conf=conf, logical_date=None, run_after=due)}
        common: Any = {"model": "quick", "predict": block}
        shares = predicting.FilesOperator(task_id="files", **common).execute(context)
        between()
        (version,) = {share["version"] for share in shares}
        tasks = [predicting.PredictOperator(task_id="predict", share=one, **common).execute(context) for one in shares]
        return {"version": version, "files": sum(len(share["names"]) for share in shares), "tasks": tasks}

    return ran


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_file_of_the_date_is_predicted_once_by_the_version_of_the_start(
    two: World, run: Run, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "2026-11-27")
    write(tmp_path / "in" / "2026-11-28")
    (tmp_path / "in" / "2026-11-27" / "_SUCCESS").touch()
    out = tmp_path / "out" / "2026-11-27"
    first = run(between=lambda: two.move("quick", "v1.0.0", "rollback"))
    assert (first["version"], first["files"], len(first["tasks"])) == ("v1.0.1", 3, 3)
    assert sorted(one["rows"] for one in first["tasks"]) == [1, 2, 3]
    made = outputs(out)
    results = {"a.parquet", "b.csv.parquet", "sub/c.parquet"}
    assert made.keys() == results | {"_a.parquet.json", "_b.csv.parquet.json", "sub/_c.parquet.json"}
    table = pq.read_table(out / "a.parquet")
    assert table.column_names == ["id", "text", "prediction", "probability", "version", "reason"]
    assert table["prediction"].to_pylist() == ["negative", "positive"]
    versions = {one for name in results for one in pq.read_table(out / name)["version"].to_pylist()}
    assert versions == {"quick@v1.0.1"}
    two.move("quick", "v1.0.1")
    again = run(tasks=2)
    assert [one["there"] for one in again["tasks"]] == [2, 1]
    assert outputs(out) == made


def test_what_is_lost_changed_or_of_another_version_is_predicted_again_to_the_same_bytes(
    two: World, run: Run, tmp_path: Path
) -> None:
    day, out = tmp_path / "in" / "2026-11-27", tmp_path / "out" / "2026-11-27"
    write(day)
    run(tasks=1)
    made = outputs(out)
    (out / "a.parquet").unlink()
    (out / "_b.csv.parquet.json").write_text("{")  # its task was killed
    assert run(tasks=1)["tasks"] == [{"files": 2, "rows": 3, "there": 1}]
    assert outputs(out) == made
    write(day, **{"sub/c.parquet": ["005acegik"]})
    assert {one["rows"] for one in run(tasks=1)["tasks"]} == {4}  # all three were written anew
    assert json.loads((out / "sub" / "_c.parquet.json").read_text())["rows"] == 1
    two.move("quick", "v1.0.0", "rollback")
    assert run(tasks=1)["tasks"] == [{"files": 3, "rows": 4, "there": 0}]
    assert set(pq.read_table(out / "a.parquet")["version"].to_pylist()) == {"quick@v1.0.0"}


def test_a_date_without_files_is_skipped_and_another_may_be_asked_for(run: Run, tmp_path: Path) -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    with pytest.raises(AirflowSkipException, match=r"no file of 2026-11-27: .*/in/2026-11-27/\*\*/\*"):
        run()
    write(tmp_path / "in" / "2025" / "02")
    given = {"input": f"{tmp_path}/in/{{date:%Y/%m}}", "output": f"{tmp_path}/out/{{date:%Y/%m}}"}
    assert run({"date": "2025-02-03"}, form="jsonl", **given)["files"] == 2  # a folder, not those in it
    (line,) = (tmp_path / "out" / "2025" / "02" / "b.csv.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": "0", "text": "003acegik", "prediction": "negative", "probability": 0.952574, "version": "quick@v1.0.1"
    }  # fmt: skip
    with pytest.raises(AirflowFailException, match="says date 'noon': expected a date such as"):
        run({"date": "noon"})
    with pytest.raises(AirflowFailException, match="says epochs: expected date alone"):
        run({"epochs": 3, "date": "2025-02-03"}, **given)


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_predicted(run: Run, tmp_path: Path) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    write(day := tmp_path / "in" / "2026-11-27")
    (day / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(AirflowFailException, match=f"file://{day}/a.parquet"):
        run(tasks=1)
    assert (tmp_path / "out" / "2026-11-27" / "sub" / "c.parquet").exists()


def test_a_file_without_rows_has_no_answers(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "in" / "2026-11-27", **{"a.parquet": [], "b.csv": []})
    assert run(tasks=1)["tasks"] == [{"files": 3, "rows": 3, "there": 0}]
    assert pq.read_table(tmp_path / "out" / "2026-11-27" / "a.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"input": "/in/*", "output": "/out/{date}"}, r"expected \{date\} in it"),
        ({"input": "/in/{date}", "output": "/out/{day}{date}"}, r"expected \{date\} in it"),
        ({"input": "in/{date}", "output": "/out/{date}"}, "expected the whole path of a folder, or a URL"),
        ({"input": "/{date}/*.csv", "output": "/{date}"}, r"a folder apart from that of input, found one in /\{date\}"),
        ({"input": "s3://b/{date}", "output": "s3://b/{date}/out"}, "a folder apart from that of input"),
    ],
)
def test_where_files_lie_is_told_by_date_and_results_lie_apart(given: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Predict(**given)
    assert Predict(input="/{date}", output="/{date}-scored") and Predict(input="/a/{date}*", output="/b/{date}")


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_names_are_those_below_the_folder_and_nothing_is_half_there(kind: str, tmp_path: Path) -> None:
    from luodi.airflow.predicting import Place, output_of, shares

    fs, root = fsspec.url_to_fs(f"{kind}://{tmp_path}/x")
    for name in ("b.csv", "a.csv", ".a.csv", "_a.csv", "c.csv.part", "sub/d.csv"):
        fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{root}/{name}", b"1")
    assert Place(f"{kind}://{root}").names() == Place(f"{kind}://{root}/*.csv").names() == ["a.csv", "b.csv"]
    assert Place(f"{kind}://{root}/**/*.csv").names() == ["a.csv", "b.csv", "sub/d.csv"]
    assert Place(f"{kind}://{root}/nowhere").names() == []
    (here := tmp_path / "here").write_text("new")
    out = Place(f"{kind}://{root}/out")
    for made in ({"input": "1"}, {"input": "2"}):
        assert not out.holds("sub/d.csv", made)
        out.put(here, "sub/d.csv", {**made, "rows": 1})
        assert out.holds("sub/d.csv", made)
    assert sorted(fs.find(f"{root}/out")) == [f"{root}/out/sub/_d.csv.json", f"{root}/out/sub/d.csv"]
    assert [output_of(name, "csv") for name in ("a.csv", "a")] == ["a.csv", "a.csv"]
    assert shares(["a", "b", "c"], 2) == [["a", "c"], ["b"]]


def test_images_are_named_as_they_lie_in_the_input(tmp_path: Path) -> None:
    from luodi.airflow.predicting import image_parts

    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (part,) = image_parts(str(tmp_path / "a.png"), None)
    assert (part.rows, len(part.items)) == ([{"file": "a.png"}], 1)
