"""What a modality is made of: a module of its name in every layer, which all that handles rows finds by that name."""

import ast
import importlib
from pathlib import Path

import pytest
from images import png

from luodi.checks import modality as checks
from luodi.config import MODALITIES
from luodi.data import modality

SRC = Path(modality.__file__).parents[1]
ITEMS = {"text": ["  好书 ", "店", "<b>坏</b>"], "image": [png(1), png(2), png(3)]}


def compared(path: Path) -> list[int]:
    """Lines that compare something with the name of a modality."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Compare)
        for one in (node.left, *node.comparators)
        if isinstance(one, ast.Constant) and one.value in MODALITIES
    ]


@pytest.mark.slow
def test_the_command_line_alone_asks_which_modality_it_is() -> None:
    """It has options for one of them; everything else finds what a modality supplies by its name."""
    found = {str(path.relative_to(SRC)) for path in SRC.rglob("*.py") if compared(path)}
    # local/example.py is for those who have no luodi.
    allowed = {"local/example.py", "cli/data.py", "cli/prediction.py", "checks/suite.py", "data/importing.py"}
    assert found <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("name", MODALITIES)
def test_every_layer_has_its_part(name: str) -> None:
    for part in (
        f"config.{name}",
        f"data.{name}",
        f"checks.{name}.measures",
        f"checks.{name}.expectations",
        f"linear.{name}",
    ):
        importlib.import_module(f"luodi.{part}")
    assert list((SRC / "nets" / name).glob("*.py"))
    for page in ("validation", "preprocess"):
        assert (SRC / "report" / f"{page}_{name}.html").is_file()
    assert name == checks.measures(name).ITEM


@pytest.mark.parametrize("name", MODALITIES)
def test_items_go_from_raw_to_rows_of_numbers_and_back_through_json(name: str) -> None:
    kind = modality.of(name)
    block = MODALITIES[name].model_validate({"modality": name, "labels": ("a", "b")})
    clean = kind.cleaner(block.preprocess)(kind.column(ITEMS[name]))
    assert clean.type == kind.CLEAN
    assert kind.cleaner(block.preprocess)(kind.column(clean.to_pylist())).equals(clean)
    encoder = kind.fit_encoder([clean], block.preprocess, block.labels)
    rows = encoder.encode(ITEMS[name])
    assert rows.shape == (3, *encoder.shape)
    assert (rows == encoder.encode_clean(clean)).all()
    raw = encoder.as_json()
    assert raw.pop("modality") == name == encoder.modality
    assert kind.read_encoder(raw) == encoder
    assert all(len(values) == 3 for values in kind.slices(clean.to_pylist()).values())
    assert not kind.copies(lambda: [clean], block.preprocess)
