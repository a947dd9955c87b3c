"""`luodi predict --output`: the answers of standard output behind all columns, in bounded memory, whatever ends it."""

import csv
import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import ENCODER, IMAGES, make
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from project import Ended

from luodi.data import inputs, tables
from luodi.errors import BrokenData
from luodi.files import folder_checksum, write_json
from luodi.scoring import bulk
from luodi.scoring.inference import Classifier

TEXTS = ["好书", "坏,了", '"书"', "", "好\n坏", "<br>", "书书书书书书", "=1+1"]
ROWS = [{"id": f"{place}", "text": text, "shop": "x"} for place, text in enumerate(TEXTS)]
KINDS = ("csv", "jsonl", "parquet")
Luodi = Callable[..., Ended]


def pulled(folder: Path, encoder: Any = ENCODER, version: str = "reviews@v1.2.0") -> Path:
    """A folder as `luodi pull` leaves it."""
    folder.mkdir()
    make(folder, encoder)
    write_json(folder / "version.json", {"version": version, "format": 2, "export": folder_checksum(folder)})
    return folder


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Rows as JSON has them; of CSV numbers as numbers, and empty cells of answers as None."""
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [{"reason": None} | json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for row in rows:
        row |= {name: row[name] or None for name in bulk.ANSWER}
        row["probability"] = row["probability"] and float(row["probability"])
    return rows


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_form_has_all_columns_and_the_answers_of_standard_output(
    kind: str, into: str, tmp_path: Path, luodi: Luodi, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(tmp_path / "model")
    write(tmp_path / f"in.{kind}", ROWS)
    told = luodi(tmp_path, "predict", "./model", "--input", f"in.{kind}").stdout.splitlines()
    monkeypatch.setattr(inputs, "ROWS", 3)
    done = luodi(tmp_path, "predict", "./model", "--input", f"in.{kind}", "--output", f"out.{into}")
    assert done.returncode == 0
    assert "scored 8 rows by reviews@v1.2.0: " in done.stderr
    found = read(tmp_path / f"out.{into}")
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS
    expected = [{"reason": None} | json.loads(line) for line in told if line.startswith("{")]
    answered = [(row["prediction"], row["probability"], row["version"], row["reason"]) for row in found]
    assert answered == [(row["label"], row["probability"], row["version"], row["reason"]) for row in expected]
    assert [*found[0]][-4:-1] == [*bulk.ANSWER][:3] or into == "jsonl"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_images_are_named_by_their_files(tmp_path: Path, luodi: Luodi) -> None:
    pulled(tmp_path / "model", IMAGES)
    (tmp_path / "in").mkdir()
    for place, pixels in enumerate(np.random.default_rng(5).integers(0, 256, (3, 2, 3), np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "in" / f"{place}.png")
    told = luodi(tmp_path, "predict", "./model", "--input", "in").stdout
    luodi(tmp_path, "predict", "./model", "--input", "in", "--output", "out.csv")
    found = [(row["file"], row["prediction"], row["probability"]) for row in read(tmp_path / "out.csv")]
    expected = [json.loads(line) for line in told.splitlines()]
    assert found == [(row["file"], row["label"], row["probability"]) for row in expected]
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert (
        "bad.png: image cannot be decoded"
        in luodi(tmp_path, "predict", "./model", "--input", "in", "--output", "out.csv").stderr
    )


def test_the_types_of_parquet_stay_and_json_has_what_it_can(tmp_path: Path, luodi: Luodi) -> None:
    pulled(tmp_path / "model")
    table = pa.table({
        "text": pa.array(["好", None]).dictionary_encode(), "day": [date(2026, 11, 28), None], "n": [1.5, float("nan")],
        "tags": [["a"], []],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "in.parquet")
    for kind in ("parquet", "jsonl"):
        luodi(tmp_path, "predict", "./model", "--input", "in.parquet", "--output", f"out.{kind}")
    kept = pq.read_table(tmp_path / "out.parquet").select(table.column_names)
    assert kept.schema.types == pq.read_table(tmp_path / "in.parquet").schema.types
    assert repr(kept.to_pylist()) == repr(table.to_pylist())  # not a number equals nothing
    first, second = read(tmp_path / "out.jsonl")
    assert (first["day"], first["n"], first["tags"]) == ("2026-11-28", 1.5, ["a"])
    assert (second["text"], second["n"], second["prediction"]) == (None, None, None)
    refused = luodi(tmp_path, "predict", "./model", "--input", "in.parquet", "--output", "out.csv")
    assert refused.returncode == BrokenData.exit_code
    assert "column `tags` of the input is list" in refused.stderr


def test_objects_of_json_may_have_keys_of_their_own(tmp_path: Path, luodi: Luodi, monkeypatch: Any) -> None:
    monkeypatch.setattr(inputs, "ROWS", 1)
    pulled(tmp_path / "model")
    write(tmp_path / "in.jsonl", [{"text": "好"}, {"text": "坏", "more": {"a": 1}}])
    for kind in KINDS:
        luodi(tmp_path, "predict", "./model", "--input", "in.jsonl", "--output", f"out.{kind}")
    assert [row["more"] for row in read(tmp_path / "out.parquet")] == [None, '{"a": 1}']
    assert [row["more"] for row in read(tmp_path / "out.csv")] == ["", '{"a": 1}']
    assert [row.get("more") for row in read(tmp_path / "out.jsonl")] == [None, {"a": 1}]


def parts(rows: int) -> Iterator[inputs.Part]:
    for at in range(rows):
        yield inputs.Part([f"好{at}"], [{"text": f"好{at}"}])


class Counting(Classifier):
    """Counts what it is asked."""

    asked = 0

    def probabilities(self, items: Any) -> Any:
        type(self).asked += len(items)
        return super().probabilities(items)


def test_what_was_answered_is_not_asked_again_unless_input_or_version_changed(tmp_path: Path) -> None:
    found = Counting.load(pulled(tmp_path / "model"))

    def broken() -> Iterator[inputs.Part]:
        yield from parts(5)
        raise BrokenData("cut")

    def asked(rows: int, version: str = "v1") -> int:
        Counting.asked = 0
        bulk.score(parts(rows), found, version, tmp_path / "out.jsonl")
        return Counting.asked

    def cut() -> None:
        with pytest.raises(BrokenData):
            bulk.score(broken(), found, "v1", tmp_path / "out.jsonl")
        assert not (tmp_path / "out.jsonl").exists()

    cut()
    assert asked(7) == 2
    assert len(read(tmp_path / "out.jsonl")) == 7
    (tmp_path / "out.jsonl").unlink()
    cut()
    assert asked(7, "v2") == 7
    assert asked(7) == 7


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_killed_wherever_it_was_the_same_command_ends_with_the_same_bytes(kind: str, tmp_path: Path) -> None:
    pulled(tmp_path / "model")
    rows = 30 * inputs.ROWS
    pq.write_table(pa.table({"text": ["好书坏"] * rows, "id": np.arange(rows)}), tmp_path / "in.parquet")
    command = [sys.executable, "-m", "luodi", "predict", "./model", "--input", "in.parquet", "--output"]
    subprocess.run([*command, f"whole.{kind}"], cwd=tmp_path, check=True, capture_output=True)
    left = tmp_path / f".out.{kind}.parts"
    for more in (1, 9, 17):
        process = subprocess.Popen([*command, f"out.{kind}"], cwd=tmp_path, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not left.exists() or len([*left.iterdir()]) < 1 + more):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / f"out.{kind}").exists()
    done = subprocess.run([*command, f"out.{kind}"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "of them by an earlier try" in done.stderr
    assert (tmp_path / f"out.{kind}").read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()
    assert not left.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--output", "out.csv"], "give --input PATH with --output FILE"),
        (["--input", "in.csv", "--output", "in.csv"], "in.csv is the input: name another file"),
        (["--input", "in.csv", "--output", "out.xml"], "out.xml: expected .csv, .jsonl, .parquet, found .xml"),
        (["--input", "taken.csv", "--output", "out.csv"], "has a column `version` already"),
        (["--input", "in.csv", "--output", "busy.csv"], "writes the same output"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], said: str, tmp_path: Path, luodi: Luodi) -> None:
    pulled(tmp_path / "model")
    write(tmp_path / "in.csv", ROWS)
    write(tmp_path / "taken.csv", [{"text": "好", "version": "v1"}])
    (tmp_path / ".busy.csv.parts").mkdir()
    with (tmp_path / ".busy.csv.parts" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = luodi(tmp_path, "predict", "./model", *arguments)
    assert done.returncode
    assert said in done.stderr
    assert not (tmp_path / "out.csv").exists()


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20), st.integers(1, 5), st.integers(1, 50))
def test_parts_hold_what_rows_do(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], most: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "in.csv"
    write(path, [{"text": text, "b": other} for text, other in rows])
    table = tables.look(path, tables.Given(delimiter=","))
    expected = [row for _, row in tables.records(table, ("text",))]
    found = list(tables.parts(table, "text", most, size))
    assert [text for texts, _ in found for text in texts] == [row["text"] for row in expected]
    assert [row for _, rows in found for row in pa.table(rows).to_pylist()] == expected
    assert all(len(texts) <= most for texts, _ in found)
