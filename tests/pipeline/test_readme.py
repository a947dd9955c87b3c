"""The console blocks of README.md: what they type works, and prints what they show, numbers and times aside."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pyarrow.parquet as pq
import pytest
from project import ROOT, Done, Project

from luodi.data import builtin_datasets

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [dedent(block) for block in re.findall(r"^ *```console\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)]
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

ELSEWHERE = {
    "make test": "tests/conftest.py::ran",  # as a part of it: it is what runs this
    ".venv/bin/luodi serve": "tests/unit/serving/test_answers.py::test_texts_are_classified_as_by_the_library",
    ".venv/bin/luodi predict scans": "tests/pipeline/test_images.py::test_a_registered_image_model_predicts_files",
    "pip install": "tests/unit/scaffold/test_scaffold.py::test_a_project_of_a_wheel_goes_from_a_table_to_a_version",
}
"""How blocks begin that take long, and what does the same."""
HERE = ("make run", ".venv/bin/luodi predict reviews", ".venv/bin/luodi add scans")

pytestmark = pytest.mark.slow


def block(start: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it prints."""
    (found,) = [one for one in BLOCKS if one.startswith(f"$ {start}")]
    steps = [step.splitlines() for step in found.removeprefix("$ ").split("\n$ ")]
    return [(command.replace(".venv/bin/", ""), shown) for command, *shown in steps]


def shape(lines: list[str]) -> list[str]:
    """Lines without what differs from run to run; `...` stands for what is not shown."""
    kept = [line for line in lines if not line.startswith("  still ")]
    plain = [re.sub(r'"label": "\w+"', '"label": "x"', " ".join(line.split())) for line in kept]
    plain = [re.sub(r"^model .*", "model x", line) for line in plain]  # what was chosen of network and linear model
    return [re.sub(r"\d[\d,.-]*", "0", line) for line in plain if line]


def test_every_block_is_run_here_or_elsewhere() -> None:
    starts = [start for one in BLOCKS for start in (*HERE, *ELSEWHERE) if one.startswith(f"$ {start}")]
    assert len(starts) == len(set(starts)) == len(BLOCKS) == len(HERE) + len(ELSEWHERE)
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8")


def test_a_run_ends_as_it_is_shown(ran: Done) -> None:
    """Make's own lines come first: of the environment, and of the data."""
    shown = README.partition("```text\n")[2].partition("```")[0].splitlines()
    own = [line.partition(" ")[0] for line in shown[:2]]
    assert own == ["making", "fetch:"]
    assert sorted(shape(ran.output.splitlines())) == sorted(shape(shown[2:]))  # train and baseline end in any order


def test_it_answers_as_it_is_shown(ran: Done) -> None:
    project = ran.project.copy("readme-predict")
    ((command, shown),) = block(".venv/bin/luodi predict reviews")
    assert shape(project.run("sh", "-c", command).splitlines()) == shape(shown)


def test_data_are_added_as_it_is_shown(make_project: Callable[[str], Project]) -> None:
    project = make_project("readme-add")
    as_folders(project.root.parent / "scans")
    rows = [f"第{row}次买的东西{'很好' if row % 3 else '很差'},{int(row % 3 > 0)}" for row in range(2400)]
    (project.root.parent / "online_shopping_10_cats.csv").write_text("\n".join(("review,label", *rows)))
    (images, shown), (texts, some) = block(".venv/bin/luodi add scans")
    assert project.run("sh", "-c", images).splitlines() == shown
    assert some.pop().strip() == "..."
    assert shape(project.run("sh", "-c", texts).splitlines())[: len(some)] == shape(some)


def as_folders(folder: Path) -> None:
    """The digits as somebody has them: a folder for each class."""
    (shard,) = builtin_datasets.fetch("digits", folder.parent / "digits")
    table = pq.read_table(shard)
    for row, (data, label) in enumerate(zip(table["image"], table["label"], strict=True)):
        path = folder / DIGITS[int(label.as_py())] / f"{row:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.as_py())
