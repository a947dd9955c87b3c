"""Training goes on where it was ended, to the same bits; what is broken, or of another training, is never used."""

import json
import os
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luodi import config
from luodi.config.image import ImageAugment
from luodi.data import image
from luodi.data.image import Encoder as ImageEncoder
from luodi.data.text import Encoder
from luodi.errors import LuodiError
from luodi.nets import checkpoints
from luodi.nets.checkpoints import Checkpoint, Checkpoints, State, Store
from luodi.nets.stderr import quiet
from luodi.project import fingerprints
from luodi.project.paths import ModelPaths
from luodi.system import progress, resources

CLASSES, EPOCHS, STEPS = 3, 4, 6
TEXTS = Encoder(("a", "b", "c"), "char", 12, 16, (), tuple(map(chr, range(0x4E00, 0x4E00 + 38))))
PICTURES = ImageEncoder(("a", "b", "c"), 8, 6, 1, (0.4,), (0.3,))
COMMON: dict[str, Any] = {"epochs": EPOCHS, "patience": EPOCHS, "batch_size": 5, "dropout": 0.3}
NETS: dict[str, tuple[Any, Any]] = {
    "text": (TEXTS, config.TextTrain(architecture="cnn_lstm", embedding=8, units=8, filters=8, kernel=3, **COMMON)),
    "image": (
        PICTURES,
        config.ImageTrain(filters=(4,), units=8, decay="cosine", optimizer="sgd", class_weight="balanced", **COMMON),
    ),
    "mixed": (TEXTS, config.TextTrain(architecture="ngram", precision="mixed_float16", **COMMON | {"patience": 1})),
}


class Ended(BaseException):
    """What a kill is to the process that it meets."""


def rows(encoder: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = COMMON["batch_size"] * STEPS - 2
    y = np.arange(count, dtype=np.int32) % CLASSES
    x = rng.integers(1, 13, (count, *encoder.shape)) + 13 * y.reshape(-1, *[1] * len(encoder.shape))
    return x.astype(encoder.dtype), y


class Trained:
    """A network that was fitted: its weights, and what came of it."""

    def __init__(self, name: str, checkpoint: Checkpoint | None, fatal: int | None = None, **changes: Any) -> None:
        with quiet():
            from luodi.nets import catalogue, training
            from luodi.nets.batches import Batches

        encoder, settings = NETS[name]
        settings = settings.model_copy(update=changes)
        augment = image.augmenter(config.ImagePreprocess(augment=ImageAugment(rotation=10, shift=0.1)))
        seen = Batches(*rows(encoder, 0), CLASSES, 5, seed=7, augment=augment if encoder is PICTURES else None)
        judged = Batches(*rows(encoder, 1), CLASSES, 5)
        training.make_deterministic(settings.seed)
        model = catalogue.find(encoder.modality, settings.architecture).build(settings, encoder)
        training.compile_model(model, settings, CLASSES, len(seen))
        with pytest.MonkeyPatch.context() as patch:
            if fatal is not None:
                self._end_at(fatal, patch)
            self.fit = training.fit(model, settings, seen, judged, checkpoint)
        self.weights = [one.tobytes() for one in model.get_weights()]

    def _end_at(self, fatal: int, patch: pytest.MonkeyPatch) -> None:
        from luodi.nets import training

        begins, steps = training.Standing.on_train_batch_begin, iter(range(10_000))

        def end(standing: Any, batch: int, logs: Any = None) -> None:
            begins(standing, batch, logs)
            if next(steps) == fatal:
                raise Ended

        patch.setattr(training.Standing, "on_train_batch_begin", end)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint before every step, whatever it costs."""
    from luodi.nets import training

    monkeypatch.setattr(training, "DEAR", 0)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(Store(str(tmp_path / "place")), "0" * 32)


@pytest.fixture(scope="module")
def undisturbed() -> Callable[[str], Trained]:
    return cache(lambda name: Trained(name, None))


@pytest.mark.slow
@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", NETS)
def test_goes_on_to_the_same_bits_wherever_it_is_ended(
    name: str, checkpoint: Checkpoint, undisturbed: Callable[[str], Trained], capsys: pytest.CaptureFixture[str]
) -> None:
    """Within the first epoch; then, from there, after the second."""
    for fatal in (2, 2 * STEPS - 2):
        with pytest.raises(Ended):
            Trained(name, checkpoint, fatal, checkpoint_minutes=1e-9)
    capsys.readouterr()
    found = Trained(name, checkpoint, checkpoint_minutes=1e-9)
    assert "goes on from epoch" in capsys.readouterr().out
    assert found.weights == undisturbed(name).weights
    assert found.fit.history == undisturbed(name).fit.history
    Trained(name, checkpoint, fatal=0)  # it takes no step
    assert "is finished already" in capsys.readouterr().out


@pytest.mark.slow
def test_an_undisturbed_training_is_the_same_with_a_checkpoint(
    checkpoint: Checkpoint,
    undisturbed: Callable[[str], Trained],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It tells of checkpoints that are far apart: by those a time limit counts anew."""
    from luodi.nets import training

    expected = undisturbed("text").weights
    capsys.readouterr()
    monkeypatch.setattr(training, "SELDOM", 0)
    assert Trained("text", checkpoint).weights == expected
    assert progress.KEPT in capsys.readouterr().out
    assert sorted(checkpoint.store.names()) == [f"{checkpoint.name}.json", f"{checkpoint.name}.npz"]
    checkpoint.remove()
    assert checkpoint.store.names() == []


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


STATE = State({"model/0": np.arange(1000, dtype=np.float32)}, {"epoch": 1})


@pytest.mark.parametrize("harm", [cut, flip, lambda content: b"", lambda content: b"junk" * 99])
def test_a_broken_checkpoint_is_told_and_ignored(
    harm: Callable[[bytes], bytes], checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.write(STATE)
    path = Path(checkpoint.store.folder) / f"{checkpoint.name}.npz"
    path.write_bytes(harm(path.read_bytes()))
    assert checkpoint.begin() is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("train: no checkpoint can be read (")
    assert line.endswith("): training goes on without")


def test_a_pickle_is_no_checkpoint(checkpoint: Checkpoint) -> None:
    checkpoint.write(State({"model/0": np.array([1, "two"], dtype=object)}, {}))
    assert checkpoint.begin() is None


@pytest.mark.parametrize("url", ["{}", "file://{}", "memory://checkpoints{}"])
def test_a_place_is_a_folder_or_a_url(url: str, tmp_path: Path) -> None:
    first, second = (Checkpoint(Store(url.format(tmp_path / "place")), "1" * 32) for _ in range(2))
    first.write(STATE)
    found = second.begin()
    assert found is not None
    assert found.facts == STATE.facts
    np.testing.assert_array_equal(found.arrays["model/0"], STATE.arrays["model/0"])
    second.remove()
    assert second.begin() is None


def test_a_place_of_no_kind_says_so() -> None:
    with pytest.raises(LuodiError, match="LUODI_CHECKPOINTS is nosuch://bucket: expected a folder"):
        Store("nosuch://bucket")


def test_a_place_where_nothing_can_be_written_costs_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    checkpoint = Checkpoint(Store(str(tmp_path / "file" / "place")), "0" * 32)
    assert checkpoint.begin() is None
    assert not checkpoint.write(STATE)
    assert "no checkpoint can be written" in capsys.readouterr().out


def test_what_nobody_comes_back_for_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ages = {f"{number}" * 32 + ".npz": number * 86400 for number in range(1, 10)}
    ages |= {"a" * 32 + ".npz": 15 * 86400, "." + "1" * 32 + ".npz.host-7": 90, "." + "2" * 32 + ".npz.host-8": 5}
    ages |= {"mine.txt": 99 * 86400}
    for name, age in ages.items():
        (tmp_path / name).write_bytes(b"0" * 100)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    monkeypatch.setattr(checkpoints, "MOST", 650)
    Store(str(tmp_path)).sweep()
    left = {f"{number}" * 32 + ".npz" for number in range(1, 6)}
    assert {path.name for path in tmp_path.iterdir()} == {*left, "." + "2" * 32 + ".npz.host-8", "mine.txt"}


def test_the_place_is_beside_the_cache_unless_a_variable_says_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, value in ((None, ""), ("LUODI_HOME", "/host"), ("LUODI_CHECKPOINTS", "s3://bucket/here")):
        if name:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv("LUODI_HOME", raising=False)
            monkeypatch.delenv("LUODI_CHECKPOINTS", raising=False)
        found.append(checkpoints.place(tmp_path))
    assert found == [f"{tmp_path}/.luodi/checkpoints", "/host/checkpoints", "s3://bucket/here"]


def name(project: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """The name of the checkpoint of a training, of which something is changed."""
    settings: Any = config.TextSettings.model_validate_json(
        json.dumps({"modality": "text", "labels": ["a", "b", "c"], **changes.get("settings", {})})
    )
    with monkeypatch.context() as patch:
        patch.setenv("LUODI_CHECKPOINTS", str(project / "place"))
        patch.setattr(fingerprints, "stage", lambda stage, modality: {"code": changes.get("code", "now")})
        kept = checkpoints.of_stage(settings, ModelPaths(project, "any"), changes.get("encoder", TEXTS))
    x, y = rows(TEXTS, changes.get("seed", 0))
    return kept.of(changes.get("where", "cpu"), x, y).name


OTHERS: list[dict[str, Any]] = [
    {"settings": {"train": {"units": 65}}},
    {"settings": {"train": {"seed": 8}}},
    {"settings": {"labels": ["a", "c", "b"]}},
    {"settings": {"preprocess": {"augment": {"copies": 1, "swap": 0.1}}}},
    {"code": "before"},
    {"seed": 1},
    {"where": "gpu"},
    {"encoder": Encoder(("a", "b", "c"), "char", 13, 16, (), TEXTS.vocabulary)},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_another_training_has_another_checkpoint(
    other: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name(tmp_path, monkeypatch) == name(tmp_path, monkeypatch)
    assert name(tmp_path, monkeypatch) != name(tmp_path, monkeypatch, **other)


@pytest.mark.parametrize("same", [{"train": {"checkpoint_minutes": 1}}, {"gate": {"minimum": 0.5}}, {"owner": "me"}])
def test_what_changes_no_byte_changes_no_checkpoint(
    same: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name(tmp_path, monkeypatch) == name(tmp_path, monkeypatch, settings=same)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SystemExit(128 + signal.SIGTERM), "was ended by SIGTERM: somebody stopped it, or its time was up"),
        (KeyboardInterrupt(), "was interrupted at the keyboard"),
        (LuodiError("training diverged: x"), "failed: training diverged: x"),
        (OSError("no"), "failed: OSError: no"),
    ],
    ids=str,
)
def test_a_try_that_ends_early_says_why_and_the_next_one_says_it_again(
    error: BaseException, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Checkpoints(Store(str(tmp_path)), b"")
    with pytest.raises(type(error)), kept.telling():
        kept.of("cpu").begin()
        raise error
    assert f"train: this try {told}" in capsys.readouterr().out
    again = Checkpoints(Store(str(tmp_path)), b"").of("cpu")
    again.begin()
    assert f"train: the try before this one {told}" in capsys.readouterr().out
    assert again.tries[0].startswith(told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kills": -1}, "was ended by the kernel, for memory ran out: give it more memory"),
        ({}, "ended without a word: it was killed, by a time limit or by somebody"),
        ({"kills": -1, "boot": "another"}, "ended without a word: it was killed, by a time limit or by somebody"),
        ({"pid": 1}, ""),  # it lives
    ],
    ids=str,
)
def test_a_try_that_was_killed_is_told_of_by_the_next(
    changes: dict[str, Any], told: str, checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    if resources.kills() is None:
        pytest.skip("the kernel does not count whom it ends")
    checkpoint.begin()
    path = Path(checkpoint.store.folder) / f"{checkpoint.name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": 2**22 + 1} | changes))
    capsys.readouterr()
    checkpoint.begin()
    assert told in capsys.readouterr().out
    assert len(checkpoint.tries) == bool(told)
