"""Settings by which an encoder is trained on are searched as those of any network are."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_encoder

from luodi import config
from luodi.config import Tune, encoders
from luodi.errors import ParamsError, WrongValue
from luodi.nets import fitting
from luodi.project.paths import ModelPaths
from luodi.tuning import goals, space, study
from luodi.tuning.trials import Trials, read_rows, write_rows

SPACE = {"train.learning_rate": {"low": 0.001, "high": 0.02, "log": True}}


def settings(tune: Any = None, **train: Any) -> config.TextSettings:
    block: dict[str, Any] = {"modality": "text", "labels": ["left", "right"], "tune": tune}
    block["train"] = {"architecture": "pretrained", "encoder": "tiny", "threads": 1, **train}
    found = config.parse({"models": {"sides": block}}, "params.yaml").models["sides"]
    assert isinstance(found, config.TextSettings)
    return found


@pytest.fixture
def project(made: ModelPaths, home: Path, tmp_path: Path) -> ModelPaths:
    """The project of `made`, with what validate leaves in place of what preprocess does."""
    paths = ModelPaths(tmp_path / "project", "sides")
    shutil.copytree(made.root / "data", paths.root / "data")
    shutil.copy(made.root / encoders.NAME, paths.root)
    texts, labels = zip(*tiny_encoder.texts(120), strict=True)
    paths.clean.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": texts, "label": labels, "source": ["a"] * len(texts)}), paths.clean)
    return paths


@pytest.mark.parametrize(
    ("tuning", "own", "other"),
    [("lora", "train.lora_rank", "train.layer_decay"), ("full", "train.layer_decay", "train.lora_rank")],
)
def test_auto_is_a_space_for_how_the_encoder_is_trained_on(tuning: str, own: str, other: str) -> None:
    block = settings(tuning=tuning)
    found = space.of(block, Tune())
    assert own in found
    assert other not in found
    assert space.defaults(block, found).keys() == found.keys(), "trial 0 is what params.yaml says"
    settings(
        {"space": {name: one.model_dump(exclude_none=True, exclude_defaults=True) for name, one in found.items()}},
        tuning=tuning,
    )


def test_on_a_frozen_encoder_there_is_nothing_to_search() -> None:
    with pytest.raises(WrongValue, match=r"train\.tuning is frozen: .*set train\.tuning to lora or full"):
        space.of(settings(), Tune())


@pytest.mark.parametrize("name", ["train.encoder", "train.tuning"])
def test_neither_the_encoder_nor_how_it_is_trained_on_is_searched(name: str) -> None:
    with pytest.raises(ParamsError, match=rf"tune\.space\.{name}: it is not searched"):
        settings({"space": {name: {"choices": ["lora", "full"]}}}, tuning="lora")


@pytest.mark.proof
def test_trials_train_the_encoder_on_from_one_head(
    project: ModelPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tune = {"metric": ["accuracy", "latency_ms", "size_mb"], "space": SPACE, "pruner": "none"}
    block = settings(tune, tuning="lora", epochs=2, batch_size=16, lora_rank=2)
    assert block.tune
    wanted = goals.of(block, block.tune)
    write_rows(block, project, tmp_path / "rows.arrow")
    of_trials = Trials(
        project, block, block.tune, space.of(block, block.tune), wanted, read_rows(tmp_path / "rows.arrow")
    )
    began, fit = [], fitting.fit_rows

    def counted(*args: Any, **more: Any) -> fitting.Net:
        began.append(more["built"].head.weights)
        return fit(*args, **more)

    monkeypatch.setattr(fitting, "fit_rows", counted)
    found = study.opened(study.Place(tmp_path, f"sqlite:///{tmp_path}/studies.db"), "some", wanted)
    for slot in range(2):
        of_trials.run(found, slot, "test")
    facts = [study.facts(slot, one, wanted) for slot, one in study.ended(found).items()]
    assert [one["state"] for one in facts] == ["complete", "complete"], facts
    assert [one["epochs"] for one in facts] == [2, 2]
    assert facts[0]["value"] > 0.9
    assert all(one["beside"]["latency_ms"] > 0 < one["beside"]["size_mb"] for one in facts)
    assert began[0] is began[1], "the logistic regression on the vectors is fitted once"
    assert facts[0]["values"] != facts[1]["values"]
