"""Classes that a person admits: params.yaml gets their labels, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from luodi import config
from luodi.errors import ParamsError, UnknownKey, WrongValue
from luodi.scaffold import adding, admitting, ingesting
from luodi.system.processes import Runner

NOBODY: Any = Runner(print)
ROWS = [(f"第{number}个房间很好", "好评" if number % 2 else "差评") for number in range(100)]


def csv(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["text,label", *(f"{text},{label}" for text, label in rows)]) + "\n"


@pytest.fixture
def hotels(root: Path, write: Any) -> Path:
    """A checkout with a model of two classes, and three rows of a third that are held back."""
    adding.add_texts(root, "hotels", write("hotels.csv", csv(ROWS)), NOBODY)
    more = [("一般般吧这个地方", "中评"), ("说不上好坏的酒店", "中评"), ("又好又坏的一家店", "混合")]
    ingesting.ingest(root, "hotels", [write("more.csv", csv(more))], NOBODY)
    return root


def labels(root: Path) -> tuple[str, ...]:
    return config.load(root / "params.yaml").models["hotels"].labels


def test_labels_that_wait_are_listed(hotels: Path) -> None:
    assert admitting.unknown(hotels, "hotels") == {"中评": 2, "混合": 1}


def test_a_class_joins_behind_the_others_and_nothing_else_changes(hotels: Path) -> None:
    before = (hotels / "params.yaml").read_text()
    said = admitting.admit(hotels, "hotels", ["中评"], NOBODY)
    assert said.startswith("admitted 1 to hotels, which has 3 classes now; their rows so far: 中评 2\n")
    assert "  中评 has 1." in said and "validate.min_class_share in params.yaml is 0.00" in said
    none = admitting.admit(hotels, "hotels", ["又一类"], NOBODY)
    assert (
        "  又一类 has no row yet: runs stop until it has (`luodi ingest`), 25.00% of all or what validate.min" in none
    )
    (hotels / "params.yaml").write_text((hotels / "params.yaml").read_text().replace(', "又一类"', ""))
    assert labels(hotels) == ("好评", "差评", "中评") or labels(hotels) == ("差评", "好评", "中评")
    assert (hotels / "params.yaml").read_text().replace(', "中评"', "") == before
    assert admitting.unknown(hotels, "hotels") == {"混合": 1}
    assert "中评" in (hotels / "params.lock").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "after"),
    [
        (
            "    labels:\n    - 差评\n    - 好评  # the second\n",
            '    - 好评  # the second\n    - "不,好"\n    - "x: y"\n',
        ),
        ("    labels: [差评, 好评]  # two\n", '    labels: [差评, 好评, "不,好", "x: y"]  # two\n'),
        ("    labels: [\n      '差评',\n      '好评',\n    ]\n", '      \'好评\', "不,好", "x: y",\n    ]\n'),
    ],
    ids=["a line each", "one line", "a list over lines"],
)
def test_however_the_list_is_laid_out(hotels: Path, written: str, after: str) -> None:
    path = hotels / "params.yaml"
    lines = path.read_text().splitlines(keepends=True)
    (place,) = [number for number, line in enumerate(lines) if "labels:" in line and "评" in line]
    path.write_text("".join([*lines[:place], written, *lines[place + 1 :]]))
    admitting.admit(hotels, "hotels", ["不,好", "x: y"], NOBODY)
    assert after in path.read_text()
    assert labels(hotels) == ("差评", "好评", "不,好", "x: y")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "label", "error", "said"),
    [
        ("hotels", "好评", WrongValue, r"has the class 好评 already: .* rows of 中评 \(2\), 混合 \(1\)"),
        ("hotel", "中评", UnknownKey, "did you mean 'hotels'"),
        ("hotels", "", ParamsError, "cannot be changed"),
    ],
)
def test_mistakes_change_nothing(hotels: Path, model: str, label: str, error: type[Exception], said: str) -> None:
    before = (hotels / "params.yaml").read_bytes()
    with pytest.raises(error, match=said):
        admitting.admit(hotels, model, [label], NOBODY)
    assert (hotels / "params.yaml").read_bytes() == before
