"""What `luodi export` writes: read back as the other tool reads it, in a process that knows nothing of luodi."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import facts
import handmade
import images
import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from luodi.errors import LuodiError
from luodi.local import exporting, hub
from luodi.project.origin import Origin
from luodi.registry.tags import Version
from luodi.scoring.inference import Classifier
from luodi.system.processes import Runner

LIBRARIES = {"libraries": {"numpy": "2.4.6", "onnxruntime": "1.32.0"}, "python": "3.11.7"}
FACTS = {"export": "ab.dir", "environment": LIBRARIES, "metrics": facts.metrics()}
VERSION = Version("reviews", "v1.0.0", "0" * 40, datetime(2026, 1, 31, tzinfo=UTC), "Ann", None, FACTS)
ASK = """
import importlib, json, pathlib, sys
import pandas, yaml
folder = pathlib.Path(sys.argv[1])
function = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
sys.path.insert(0, str(folder / function["code"]))
model = importlib.import_module(function["loader_module"])._load_pyfunc(str(folder / function["data"]))
column, items = json.load(sys.stdin)
items = [bytes.fromhex(one) for one in items] if column == "image" else items
print(model.predict(pandas.DataFrame({column: items})).to_json(orient="split"))
print(model.predict(pandas.DataFrame({column: []})).shape)
"""
"""As mlflow.pyfunc.load_model does."""


@pytest.fixture(params=[handmade.ENCODER, handmade.IMAGES], ids=["text", "image"])
def pulled(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The encoder, and a folder as `luodi pull` leaves it."""
    folder = tmp_path / "made" / "data"
    folder.mkdir(parents=True)
    handmade.make(folder, request.param)
    version = replace(VERSION, facts=FACTS | {"params": {"modality": request.param.modality}})
    (folder / "card.md").write_text(f"---\n{hub.metadata(version)}\n---\n# Card\n")
    shutil.copyfile(Path(exporting.__file__).with_name("example.py"), folder / "example.py")
    return request.param, folder


@pytest.mark.slow
def test_mlflow_finds_a_function_that_answers_as_luodi_does(pulled: Any) -> None:
    encoder, data = pulled
    made = data.parent
    expected = Classifier.load(data).probabilities(items := _items(encoder))
    exporting.mlflow(VERSION, encoder.as_json(), data, made)
    model = yaml.safe_load((made / "MLmodel").read_text())
    (given,) = json.loads(model["signature"]["inputs"])
    assert (given["name"], given["type"]) == {"text": ("text", "string"), "image": ("image", "binary")}[
        encoder.modality
    ]
    needs = (made / "requirements.txt").read_text().splitlines()
    assert needs == [
        "numpy==2.4.6",
        "onnxruntime==1.32.0",
        "pandas",
        *(["pillow"] if encoder.modality == "image" else []),
    ]
    asked = json.dumps([encoder.modality, [one.hex() if isinstance(one, bytes) else one for one in items]])
    found, none = _outside(made, asked)
    answer = json.loads(found)
    assert answer["columns"] == ["label", "probability"]
    assert [label for label, _ in answer["data"]] == [encoder.labels[place] for place in expected.argmax(1)]
    np.testing.assert_allclose([share for _, share in answer["data"]], expected.max(1), rtol=1e-5)
    assert none == "(0, 2)"


def test_the_hub_reads_the_card(pulled: Any) -> None:
    encoder, data = pulled
    exporting.huggingface(VERSION, encoder.as_json(), data, data.parent)
    card = ModelCard.load(data.parent / "README.md")
    assert card.data.pipeline_tag == f"{encoder.modality}-classification"
    assert {one.metric_name: one.metric_value for one in card.data.eval_results or ()} == {
        "accuracy": 0.856489, "macro_f1": 0.856091,
    }  # fmt: skip
    assert card.text.strip().startswith("# Card")
    assert sorted(path.name for path in data.parent.iterdir()) == [
        "README.md",
        "encoder.json",
        "example.py",
        "model.onnx",
    ]


OURS = {"version.json": '{"version": "reviews@v1.0.0"}'}


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("huggingface", {"README.md": "made by luodi"}),
        ("huggingface", OURS | {"README.md": "luodi", "notes.txt": "mine"}),
        ("mlflow", {"MLmodel": "made_by: luodi"}),
        ("mlflow", {"MLmodel": "made_by: luodi", "data/version.json": OURS["version.json"], "code/mine.py": ""}),
        ("mlflow", OURS),
    ],
)
def test_what_no_export_made_is_refused_and_stays(form: str, files: dict[str, str], tmp_path: Path) -> None:
    folder = images.folder(tmp_path, {name: content.encode() for name, content in files.items()})
    origin = Origin(str(tmp_path / "nowhere"), "main", None, tmp_path / "home")
    with pytest.raises(LuodiError, match="holds something else than an export"):
        exporting.export(origin, VERSION, form, folder, Runner(print))
    assert {name: (folder / name).read_text() for name in files} == files


def _items(encoder: Any) -> list[Any]:
    return [images.png(1), images.png(2)] if encoder.modality == "image" else ["好书", "坏 <b>书</b>"]


def _outside(folder: Path, asked: str) -> list[str]:
    """What a process says that finds no luodi."""
    script = f"import sys; sys.modules['luodi'] = None\n{ASK}"
    command = [sys.executable, "-I", "-c", script, str(folder)]
    return subprocess.run(command, input=asked, check=True, capture_output=True, text=True).stdout.splitlines()
