"""A model on an encoder's vectors: trained, exported and read back; the vectors are computed once."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoder
from project import Ended

from luodi import config
from luodi.config import encoders, user_code
from luodi.data import subwords, text
from luodi.errors import ArtifactError, MissingData, ParamsError, SourceMismatch, UnknownKey
from luodi.files import folder_checksum
from luodi.nets import onnx_file
from luodi.pretrained import graph, lengths, store, vector_cache, vectors
from luodi.pretrained.frozen import Frozen
from luodi.pretrained.text import fit
from luodi.project.paths import ModelPaths
from luodi.scaffold import encoders as scaffold
from luodi.scoring import choice, inference

MODEL: dict[str, Any] = {
    "modality": "text",
    "labels": ["left", "right"],
    "train": {"architecture": "pretrained", "encoder": "tiny"},
}


def settings(**train: Any) -> config.TextSettings:
    block = MODEL | {"train": MODEL["train"] | train}
    found = config.parse({"models": {"sides": block}}, "params.yaml").models["sides"]
    assert isinstance(found, config.TextSettings)
    return found


def test_it_learns_what_no_train_row_said(made: ModelPaths, home: Path, tmp_path: Path) -> None:
    frozen = fit(settings(), made)
    assert isinstance(frozen, Frozen)
    assert (frozen.scores.argmax(1) == frozen.validation.label).mean() > 0.95
    assert frozen.scores.sum(1) == pytest.approx(np.ones(len(frozen.scores)), abs=1e-5)
    frozen.write(tmp_path / "export")
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"model.onnx", "encoder.json", "tokenizer.json"}
    served = inference.Classifier.load(tmp_path / "export")
    fresh = tiny_encoder.texts(100, seed=5)
    given = served.probabilities([one for one, _ in fresh])
    assert given.dtype == np.float32
    assert np.mean([served.labels[row.argmax()] == label for row, (_, label) in zip(given, fresh, strict=True)]) > 0.95
    alone = np.concatenate([served.probabilities([one]) for one, _ in fresh[:9]])
    assert np.abs(alone - given[:9]).max() < 1e-6
    assert served.probabilities([]).shape == (0, 2)


def test_validation_rows_judge_what_was_not_fitted_on_them(made: ModelPaths, home: Path, tmp_path: Path) -> None:
    def gap(name: str, *, all_rows: bool) -> float:
        frozen = fit(settings(all_rows=all_rows), made)
        frozen.write(tmp_path / name)
        given = inference.Classifier.load(tmp_path / name).probabilities(frozen.items[frozen.count :])
        return float(np.abs(given - frozen.scores).max())

    assert gap("train rows", all_rows=False) < 1e-5 < gap("all rows", all_rows=True)


def test_weights_that_one_file_does_not_hold_lie_beside_it(
    made: ModelPaths, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of an encoder, and of a model on it, by a smaller bound: each a folder that is written as a whole."""
    frozen, names = fit(settings(), made), {"model.onnx", "encoder.json", "tokenizer.json"}
    frozen.write(tmp_path / "one")
    monkeypatch.setattr(onnx_file, "LARGEST", 20_000)
    encoder = tmp_path / "encoder"
    scaffold.prepared(tiny_encoder.write(tmp_path / "checkpoint", "roberta"), encoder)
    assert {path.name for path in encoder.iterdir()} == {store.GRAPH, f"{store.GRAPH}.data", "tokenizer.json"}
    two = replace(frozen, graph=encoder / store.GRAPH)
    for name in ("two", "again"):
        two.write(tmp_path / name)
        assert {path.name for path in (tmp_path / name).iterdir()} == names | {"model.onnx.data"}
    assert folder_checksum(tmp_path / "two") == folder_checksum(tmp_path / "again")
    texts = [one for one, _ in tiny_encoder.texts(40, seed=5)]
    moved = shutil.copytree(tmp_path / "two", tmp_path / "elsewhere" / "two")
    one, beside = (inference.Classifier.load(folder).probabilities(texts) for folder in (tmp_path / "one", moved))
    assert np.array_equal(one, beside)
    form, weights = graph.read(encoder / store.GRAPH)
    expected, known = graph.read(made.root / "data" / "encoders" / "tiny" / store.GRAPH)
    assert form == expected
    assert all(np.array_equal(weights[name], known[name]) for name in known)
    (moved / "model.onnx.data").unlink()
    with pytest.raises(ArtifactError, match="is not a readable ONNX model"):
        inference.Classifier.load(moved)


def test_an_encoder_of_gigabytes_is_recorded() -> None:
    known = encoders.TextEncoder(
        md5="0" * 32 + ".dir", licence="mit", family="xlm-roberta", size_bytes=22 * 10**9, weights=5 * 10**9,
        width=1024, length=512, pad=1, pooling="cls",
    )  # fmt: skip
    assert encoders.text({"large": known}).count("22000000000") == 1


def test_the_same_training_is_the_same_bytes_whatever_was_kept(made: ModelPaths, home: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        fit(settings(), made).write(tmp_path / name)
        keys = vectors.folder(made).joinpath(f"{encoders.read(made.root)['tiny'].md5}.keys")
        keys.write_bytes(keys.read_bytes()[: 45 * 16 + 3])  # half of the rows are new to the next
    assert folder_checksum(tmp_path / "first") == folder_checksum(tmp_path / "second")


def test_vectors_are_computed_once(made: ModelPaths, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fit(settings(), made)
    assert "90 of 90 texts" in capsys.readouterr().out
    second = fit(settings(), made)
    assert "0 of 90 texts" in capsys.readouterr().out
    assert np.array_equal(first.train.features, second.train.features)
    keys, content = sorted(vectors.folder(made).iterdir())
    assert (keys.stat().st_size, content.stat().st_size) == (90 * 16, 90 * 16 * 4)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (vectors.folder(made), keys, content))


def test_what_was_kept_and_is_none_is_computed_again(
    made: ModelPaths, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoiled(path: Path, content: bytes) -> str:
        path.write_bytes(content)
        fit(settings(), made)
        return capsys.readouterr().out

    fit(settings(), made)
    keys, content = sorted(vectors.folder(made).iterdir())
    assert "90 of 90 texts" in spoiled(keys, b"no longer")
    assert "10 of 90 texts" in spoiled(content, content.read_bytes()[: 64 * 80 + 9])
    assert "20 of 90 texts" in spoiled(content, bytes(64 * 20) + content.read_bytes()[64 * 20 :])


def test_two_that_train_at_once_and_a_place_that_cannot_be_written(
    made: ModelPaths, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = fit(settings(), made).train.features
    with vector_cache.Kept(vectors.folder(made), encoders.read(made.root)["tiny"].md5, 16):
        assert np.array_equal(fit(settings(), made).train.features, expected)
    assert "90 of 90 texts" in capsys.readouterr().out
    shutil.rmtree(home)
    home.write_text("no folder")
    assert np.array_equal(fit(settings(), made).train.features, expected)
    assert "the vectors cannot be kept" in capsys.readouterr().out


def test_a_vector_depends_on_its_text_alone(made: ModelPaths, home: Path, tmp_path: Path) -> None:
    folder, known = store.find(made.root, "tiny", encoders.TextEncoder)
    encoder = subwords.Encoder((), known.length, known.pad, (folder / subwords.TOKENIZER).read_text(encoding="utf-8"))
    texts = text.clean_list([one for one, _ in tiny_encoder.texts(99)] + ["a", "b " * 99, "好 书 c d e f g h"])
    together = vectors.of(texts, partial(lengths.together, encoder=encoder), folder / store.GRAPH, known, made)
    for place in (0, 50, 98, 99, 100, 101):
        paths, with_others = ModelPaths(tmp_path, f"m{place}"), partial(lengths.together, encoder=encoder)
        alone = vectors.of([texts[place]], with_others, folder / store.GRAPH, known, paths)
        assert np.array_equal(alone[0], together[place])


def test_rows_of_rare_classes_may_count_for_more(made: ModelPaths, home: Path) -> None:
    assert fit(settings(class_weight="balanced"), made)._logistic(1.0).class_weight == "balanced"
    assert fit(settings(), made)._logistic(1.0).class_weight is None


def test_what_is_exported_must_be_what_was_trained(made: ModelPaths, home: Path, tmp_path: Path) -> None:
    frozen = fit(settings(), made)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "before").touch()
    others = replace(
        frozen, items=[*frozen.items[1:], frozen.items[0]]
    )  # whose probabilities are not those of the rows
    with pytest.raises(ArtifactError, match=r"differs from the trained one: .* it was not saved"):
        others.write(tmp_path / "export")
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["before"]


def test_rows_outside_of_a_fold_judge_it(made: ModelPaths, home: Path) -> None:
    frozen = fit(settings(), made)
    label = np.concatenate([frozen.train.label, frozen.validation.label])
    found = frozen.out_of_fold(np.arange(len(label)))
    assert (found.argmax(1) == label).mean() > 0.9


def test_what_is_told_of_it(made: ModelPaths, home: Path) -> None:
    facts = fit(settings(), made).facts()
    told = choice.sentence({"chosen": "pretrained", "encoder": facts, "metric": "accuracy", "validation": {}})
    md5 = encoders.read(made.root)["tiny"].md5
    assert told == (
        "the pretrained encoder tiny under a linear model of 34 trained weights "
        f"(roberta, {facts['weights']:,} weights as they came, 0.0 MB, licence: mit, MD5 {md5})"
    )
    assert choice.sentence({"chosen": "linear", "encoder": facts}) == "the linear model"


def test_its_content_is_a_setting_in_effect(made: ModelPaths) -> None:
    found = user_code.effective(settings(), made.root)["train"]["encoder"]
    assert found == f"tiny {encoders.read(made.root)['tiny'].md5}"
    assert user_code.files(settings(), made.root) == {"encoders.yaml"}


def test_an_encoder_that_is_away_or_another_is_told(made: ModelPaths, tmp_path: Path) -> None:
    with pytest.raises(UnknownKey, match="no encoder 'tinny'; did you mean 'tiny'"):
        store.find(made.root, "tinny", encoders.TextEncoder)
    (tmp_path / encoders.NAME).write_text((made.root / encoders.NAME).read_text())
    with pytest.raises(MissingData, match=r"is away, .* `dvc pull data/encoders/tiny`"):
        store.find(tmp_path, "tiny", encoders.TextEncoder)
    store.place(tmp_path, "tiny").mkdir(parents=True)
    with pytest.raises(SourceMismatch, match=r"does not match encoders\.yaml"):
        store.find(tmp_path, "tiny", encoders.TextEncoder)
    (tmp_path / encoders.NAME).write_text("encoders: {tiny: 1}\n")
    with pytest.raises(ParamsError, match="is not what luodi wrote"):
        encoders.read(tmp_path)


@pytest.mark.parametrize("train", [{"architecture": "pretrained"}, {"encoder": "tiny"}])
def test_architecture_and_encoder_go_together(train: dict[str, str]) -> None:
    with pytest.raises(ParamsError, match=r"train\.architecture pretrained and train.encoder go together"):
        config.parse({"models": {"sides": MODEL | {"train": train}}}, "params.yaml")


@pytest.mark.slow
def test_who_answers_needs_no_training_library(made: ModelPaths, home: Path, tmp_path: Path) -> None:
    """In a process of its own, which reports what it imported."""
    import subprocess
    import sys

    fit(settings(), made).write(tmp_path / "export")
    code = (
        "import sys; from pathlib import Path; from luodi.scoring.inference import Classifier; "
        "print(Classifier.load(Path(sys.argv[1])).probabilities(['a text']).shape, "
        "sorted({'tensorflow', 'keras', 'sklearn', 'torch', 'huggingface_hub', 'safetensors'} & sys.modules.keys()))"
    )
    done: Ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "export")], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "(1, 2) []\n"
