"""An encoder that is trained on: what is exported is what was trained, and a training that was ended goes on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from luodi import config
from luodi.errors import BrokenData, ParamsError
from luodi.files import folder_checksum
from luodi.nets import checkpoints, training
from luodi.pretrained import text
from luodi.pretrained.frozen import Frozen
from luodi.pretrained.tuned import Tuned
from luodi.project.paths import ModelPaths
from luodi.scoring import choice, inference

pytestmark = pytest.mark.slow

EPOCHS = {"epochs": 2, "batch_size": 16}
CHANGES: dict[str, dict[str, Any]] = {
    "lora": {"tuning": "lora", "learning_rate": 0.02, "lora_rank": 2, "lora_targets": ["query", "inner"], **EPOCHS},
    "full": {"tuning": "full", "learning_rate": 0.01, **EPOCHS},
}


def settings(**train: Any) -> config.TextSettings:
    block: dict[str, Any] = {"modality": "text", "labels": ["left", "right"]}
    block["train"] = {"architecture": "pretrained", "encoder": "tiny", "threads": 1, **train}
    found = config.parse({"models": {"sides": block}}, "params.yaml").models["sides"]
    assert isinstance(found, config.TextSettings)
    return found


@pytest.fixture
def frozen(made: ModelPaths, home: Path) -> Iterator[Frozen]:
    yield text.fit(settings(**CHANGES["full"]), made)


@pytest.mark.parametrize(("name", "trained"), [("lora", 2 * (2 * (16 + 16) + 2 * (16 + 24)) + 34), ("full", 0)])
def test_it_learns_and_is_exported(name: str, trained: int, made: ModelPaths, home: Path, tmp_path: Path) -> None:
    frozen = text.fit(settings(**CHANGES[name]), made)
    tuned = text.tune(frozen)
    assert isinstance(tuned, Tuned)
    assert len(tuned.net.history) == 2
    assert (tuned.scores.argmax(1) == frozen.validation.label).mean() > 0.95
    assert np.abs(tuned.scores - frozen.scores).max() > 1e-3
    tuned.write(tmp_path / "export")
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"model.onnx", "encoder.json", "tokenizer.json"}
    served = inference.Classifier.load(tmp_path / "export")
    rows = frozen.items[len(frozen.train.label) :]
    assert np.abs(served.probabilities(rows) - tuned.scores).max() < 1e-5
    # What the graph holds is what it was, but for the weights.
    frozen.write(tmp_path / "frozen")
    sizes = [(tmp_path / one / "model.onnx").stat().st_size for one in ("export", "frozen")]
    assert abs(sizes[0] - sizes[1]) < 100
    facts = tuned.facts()
    assert facts["trained"] == (trained or frozen.recorded.weights - 2 * 16 - 16 + 34)  # of segments and the offset
    said = choice.sentence({"chosen": "tuned", "encoder": facts})
    how = {"lora": "by LoRA", "full": "whole"}[name]
    assert said.startswith(f"the fine-tuned encoder tiny, {how}, {facts['trained']:,} weights trained (roberta, ")


def test_a_decoder_learns_by_lora_what_its_last_token_tells(decoding: ModelPaths, home: Path, tmp_path: Path) -> None:
    frozen = text.fit(settings(**CHANGES["lora"]), decoding)
    tuned = text.tune(frozen)
    assert (tuned.scores.argmax(1) == frozen.validation.label).mean() > 0.95
    assert np.abs(tuned.scores - frozen.scores).max() > 1e-3
    tuned.write(tmp_path / "export")
    served = inference.Classifier.load(tmp_path / "export")
    rows = frozen.items[len(frozen.train.label) :]
    assert np.abs(served.probabilities(rows) - tuned.scores).max() < 1e-5
    longer = [f"{row} {rows[0]}" for row in rows]  # whose last token is that of another
    assert np.array_equal(served.probabilities(longer).argmax(1), served.probabilities(rows[:1] * len(rows)).argmax(1))


class Ended(BaseException):
    """What a kill is to the process that it meets."""


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint before every step, and two of them end the training."""
    monkeypatch.setattr(training, "DEAR", 0)
    begins, steps = training.Standing.on_train_batch_begin, iter(range(100))

    def end(standing: Any, batch: int, logs: Any = None) -> None:
        begins(standing, batch, logs)
        if next(steps) in (8 + 3, 8 + 6):  # the first eight are of the training that nothing ends
            raise Ended

    monkeypatch.setattr(training.Standing, "on_train_batch_begin", end)


@pytest.mark.proof  # of networks that are trained anew: tests/unit/nets/test_checkpoints.py
@pytest.mark.usefixtures("ending")
def test_a_training_that_was_ended_goes_on_to_the_same_bytes(
    frozen: Frozen,
    made: ModelPaths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    undisturbed = text.tune(frozen)
    undisturbed.write(tmp_path / "undisturbed")
    often = settings(**CHANGES["full"], checkpoint_minutes=1e-9)
    for _ in range(3):
        kept = checkpoints.of_stage(often, made, frozen.encoder)
        going = text.tune(replace(frozen, settings=often), kept)
        try:
            going.write(tmp_path / "ended")
        except Ended:
            assert not (tmp_path / "ended").exists()
    assert "goes on from epoch 2/2" in capsys.readouterr().out
    assert folder_checksum(tmp_path / "ended") == folder_checksum(tmp_path / "undisturbed")


@pytest.mark.proof  # of an encoder as it came: tests/unit/pretrained/test_frozen.py
def test_rows_outside_of_a_fold_judge_it(frozen: Frozen) -> None:
    found = text.tune(frozen).out_of_fold(np.arange(len(frozen.both.label)))
    assert (found.argmax(1) == frozen.both.label).mean() > 0.9
    assert found.sum(1) == pytest.approx(np.ones(len(found)), abs=1e-5)


def test_other_defaults_where_an_encoder_is_trained_on() -> None:
    assert settings().train.learning_rate == config.TextTrain().learning_rate
    assert (settings(tuning="full").train.learning_rate, settings(tuning="full").train.decay) == (0.0002, "cosine")
    assert settings(tuning="lora", learning_rate=0.01).train.learning_rate == 0.01


def test_an_encoder_of_before_is_to_be_added_again(frozen: Frozen, tmp_path: Path) -> None:
    model = onnx.load(frozen.graph)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "encoder.onnx")
    with pytest.raises(BrokenData, match=r"of an earlier luodi, .* `luodi encoder add DIR --name ANOTHER`"):
        text.tune(replace(frozen, graph=tmp_path / "encoder.onnx"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tuning": "all"}, "'frozen', 'lora' or 'full'"),
        ({"tuning": "lora", "lora_targets": ["keys"]}, "key"),
        ({"tuning": "lora", "lora_targets": ["key", "key"]}, "each matrix may be named once"),
        ({"tuning": "full", "architecture": "ngram", "encoder": None}, "train.tuning full is of an encoder"),
    ],
)
def test_what_is_no_tuning_is_told(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ParamsError) as caught:
        settings(**change)
    assert told in str(caught.value)
