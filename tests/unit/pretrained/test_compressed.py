"""Smaller models of a pretrained encoder: its products shrink, its tokenizer goes with them, the rest says why not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoder

from luodi import config
from luodi.files import read_facts
from luodi.nets import onnx_file
from luodi.nets.canonical import LARGEST
from luodi.pretrained.text import fit
from luodi.project.paths import ModelPaths
from luodi.scoring.inference import Classifier
from luodi.stages import compress


@pytest.mark.slow
@pytest.mark.parametrize("most", [20_000, LARGEST], ids=["of two files", "of one"])
def test_an_encoder_is_made_smaller(  # noqa: PLR0917, fixtures
    most: int,
    made: ModelPaths,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx_file, "LARGEST", most)
    train = {"architecture": "pretrained", "encoder": "tiny", "all_rows": False}
    smaller: dict[str, Any] = {
        "candidates": ["int8_dynamic", "int8_static", "float16", "pruned"],
        "margin": 0.5,
        "max_slowdown": 1000.0,
    }
    block = {"modality": "text", "labels": ["left", "right"], "train": train, "compress": smaller}
    settings = config.parse({"models": {"sides": block}}, "params.yaml").models["sides"]
    assert isinstance(settings, config.TextSettings)
    paths = replace(made, root=tmp_path)
    paths.rows.parent.mkdir(parents=True)
    paths.rows.write_bytes(made.rows.read_bytes())
    fit(settings, made).write(paths.trained)
    assert (paths.trained / "model.onnx.data").exists() == (most == 20_000)
    compress.run(settings, paths)
    facts = read_facts(paths.candidates)
    said = capsys.readouterr().out
    assert {name for name, one in facts["candidates"].items() if one["verdict"] == "unsuited"} == {"pruned"}, said
    names = {path.name for path in paths.compressed.iterdir()} - {"model.onnx.data"}
    assert names == {"model.onnx", "encoder.json", "tokenizer.json"}
    assert facts["chosen"], said
    texts = [one for one, _ in tiny_encoder.texts(40, seed=5)]
    whole, small = (Classifier.load(folder).probabilities(texts) for folder in (paths.trained, paths.compressed))
    assert np.mean(whole.argmax(1) == small.argmax(1)) > 0.9
