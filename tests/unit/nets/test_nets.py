"""Every architecture for text: shapes, layers, learning, invariance; the training loop, its metric and its input."""

import re
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi import config
from luodi.data.text import Encoder
from luodi.errors import LuodiError, WrongValue
from luodi.nets import fitting
from luodi.nets.stderr import quiet
from luodi.scoring import graphs, inference

with quiet():
    import keras

    from luodi.nets import batches, catalogue, export, feeding, hardware, history, saving, training
    from luodi.nets.metrics import MacroRecall
    from luodi.nets.text import ngram

pytestmark = pytest.mark.slow

SIZE, LENGTH, CLASSES = 40, 12, 3
SMALL = config.TextTrain(
    architecture="mlp",
    embedding=8,
    units=8,
    filters=8,
    kernel=3,
    pool=2,
    dropout=0.1,
    activation="relu",
    loss="categorical_crossentropy",
    optimizer="adam",
    learning_rate=0.05,
    batch_size=5,
    epochs=15,
    patience=15,
    precision="float32",
    seed=7,
)


NAMES = [one.name for one in catalogue.ARCHITECTURES if one.modality == "text" and one.name not in catalogue.NO_NETWORK]


def encoder(length: int = LENGTH) -> Encoder:
    """An encoder of SIZE ids, `length` of them a row, CLASSES labels."""
    return Encoder(("a", "b", "c"), "char", length, 16, (), tuple(map(chr, range(0x4E00, 0x4E00 + SIZE - 2))))


def setting(**changes: Any) -> Any:
    return SMALL.model_copy(update=changes)


def build(settings: Any, length: int = LENGTH) -> Any:
    return catalogue.find("text", settings.architecture).build(settings, encoder(length))


def rows(count: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose class is told by the ids they hold: class c draws from its own third of the ids."""
    rng = np.random.default_rng(seed)
    y = np.arange(count, dtype=np.int32) % CLASSES
    x = rng.integers(1, 13, (count, LENGTH)) + 13 * y[:, None]
    return x.astype(np.int32), y


def block(train: Any) -> Any:
    """The block of a model, as far as building a network reads it."""
    settings: Any = config.TextSettings
    return settings.model_construct(modality="text", train=train)


def trained(settings: Any, count: int = 20) -> Any:
    training.make_deterministic(settings.seed)
    model = build(settings)
    data = batches.Batches(*rows(count), CLASSES, settings.batch_size, settings.seed)
    training.compile_model(model, settings, CLASSES, len(data))
    return model, training.fit(model, settings, data, data).history


def test_balanced_classes_count_alike() -> None:
    label = np.array([0, 0, 0, 2], np.int32)
    weights = training.balanced(label)
    assert weights == pytest.approx({0: 2 / 3, 2: 2.0})
    assert sum(weights[one] for one in label.tolist()) == pytest.approx(len(label))


def test_a_balanced_network_answers_a_rare_class_more_often() -> None:
    """Rows that tell nothing, nine of ten of the first class."""
    x, y = np.ones((40, LENGTH), np.int32), (np.arange(40) % 10 == 0).astype(np.int32)
    found = {}
    for weight in ("none", "balanced"):
        settings = setting(class_weight=weight, dropout=0.0)
        training.make_deterministic(settings.seed)
        model = build(settings)
        data = batches.Batches(x, y, CLASSES, settings.batch_size, settings.seed)
        training.compile_model(model, settings, CLASSES, len(data))
        training.fit(model, settings, data, data)
        found[weight] = model.predict(x[:1], verbose=0)[0, 1]
    assert found["none"] < 0.3 < found["balanced"]


@pytest.mark.parametrize("soft", [False, True])
def test_what_tensorflow_gathers_is_what_python_gives(soft: bool) -> None:
    """Each epoch in its own order, and of one that was begun the rest."""
    x, y = rows(20)
    data = batches.Batches(x, np.eye(CLASSES, dtype=np.float32)[y] * 0.5 if soft else y, CLASSES, 8, seed=3)
    for batch in (0, 1):
        rest = data.rest(batch)
        fed = feeding.of(rest)
        assert fed is not rest
        orders = []
        for epoch in (1, 2):
            rest.begin(epoch)
            found = [tuple(one.numpy() for one in pair) for pair in fed]
            assert len(found) == len(rest)
            for index, pair in enumerate(found):
                for one, expected in zip(pair, rest[index], strict=True):
                    np.testing.assert_array_equal(one, expected)
                    assert one.dtype == expected.dtype
            orders.append(np.concatenate([one for one, _ in found]).tolist())
        assert orders[0] != orders[1]


def test_what_python_alone_can_give_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(20)
    plain = batches.Batches(x, y, CLASSES, 8)
    for data in (batches.Batches(x, y, CLASSES, 8, parts=2), plain.among(2, 1, 0)):
        assert feeding.of(data) is data
    changed = batches.Batches(x, y, CLASSES, 8, augment=lambda x, rng: x)
    assert feeding.of(changed) is changed
    monkeypatch.setattr(feeding, "HELD", x.nbytes - 1)
    assert feeding.of(plain) is plain


@pytest.mark.parametrize("architecture", NAMES)
class TestEveryArchitecture:
    def test_gives_probabilities_for_any_batch_and_for_padding_alone(self, architecture: str) -> None:
        model = build(setting(architecture=architecture))
        x = np.concatenate([rows(4)[0], np.zeros((1, LENGTH), np.int32)])
        y = model.predict(x, verbose=0)
        assert (y.shape, y.dtype) == ((5, CLASSES), np.float32)
        assert np.all(y >= 0)
        np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)

    def test_overfits_twenty_rows(self, architecture: str) -> None:
        settings = setting(architecture=architecture, dropout=0.0, units=16)
        model, history = trained(settings)
        x, y = rows()
        assert np.array_equal(model.predict(x, verbose=0).argmax(axis=1), y)
        assert history[-1]["loss"] < 0.2 * history[0]["loss"]

    def test_stands_texts_shorter_than_kernel_and_pool(self, architecture: str) -> None:
        model = build(setting(architecture=architecture, kernel=7, pool=9), 2)
        assert model.output_shape == (None, CLASSES)

    def test_mixed_precision_ends_in_float32(self, architecture: str) -> None:
        mixed = setting(architecture=architecture, precision="mixed_bfloat16", epochs=1)
        model, _ = trained(mixed)
        assert model.get_layer("embedding").compute_dtype == "bfloat16"
        final = catalogue.as_float32(model.get_weights(), block(mixed), encoder())
        assert {layer.compute_dtype for layer in final.layers if layer.weights} == {"float32"}
        np.testing.assert_allclose(final.predict(rows()[0], verbose=0), model.predict(rows()[0], verbose=0), atol=0.05)


def test_cnn_lstm_is_exactly_these_layers() -> None:
    model = build(setting(architecture="cnn_lstm"))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Embedding", "Conv1D", "MaxPooling1D", "LSTM", "Dense"]
    activations = [model.get_layer(name).activation.__name__ for name in ("convolution", "probabilities")]
    assert activations == ["relu", "softmax"]


@pytest.mark.parametrize("architecture", ["mlp", "ngram"])
@pytest.mark.parametrize("more", [1, 30])
def test_padding_and_order_make_no_difference_to_a_bag(architecture: str, more: int) -> None:
    settings = setting(architecture=architecture)
    short = build(settings)
    wide = build(settings, LENGTH + more)
    wide.set_weights(short.get_weights())
    x, _ = rows()
    padded = np.pad(x[:, ::-1], ((0, 0), (0, more)))
    np.testing.assert_allclose(wide.predict(padded, verbose=0), short.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_a_bag_of_short_vectors_is_written_node_by_node(factor: float) -> None:
    model = build(setting(architecture="ngram", embedding=graphs.FEW))
    weights = np.random.default_rng(0).normal(size=sum(one.size for one in model.get_weights()))
    ends = np.cumsum([one.size for one in model.get_weights()])[:-1]
    parts = zip(np.split(weights, ends), model.get_weights(), strict=True)
    model.set_weights(
        [part.reshape(one.shape) for part, one in parts]
    )  # what pads is told from nothing by a mask alone
    made = ngram.graph(training.scaled(model, factor), factor, encoder())
    assert made is not None
    x = np.concatenate([rows()[0], np.zeros((1, LENGTH), np.int32), np.tril(rows()[0][:LENGTH])])
    expected = training.scaled(model, factor).predict(x, verbose=0)
    np.testing.assert_allclose(
        inference.run_session(inference.session(made.SerializeToString()), x), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("changes", [{"embedding": graphs.FEW + 1}, {"table": SIZE - 2}])
def test_a_bag_of_long_or_shared_vectors_is_left_to_keras(changes: dict[str, int]) -> None:
    assert ngram.graph(build(setting(architecture="ngram", **changes)), 1.0, encoder()) is None


def test_what_pads_a_row_changes_nothing_that_a_transformer_says() -> None:
    settings = setting(architecture="transformer")
    short, wide = build(settings), build(settings, LENGTH + 30)
    more = np.ones((30, settings.embedding), np.float32)
    wide.set_weights([np.concatenate([one, more]) if name == "places" else one for name, one in named(short)])
    x, _ = rows()
    expected = short.predict(x, verbose=0)
    np.testing.assert_allclose(wide.predict(np.pad(x, ((0, 0), (0, 30))), verbose=0), expected, atol=1e-6)
    assert np.abs(short.predict(x[:, ::-1].copy(), verbose=0) - expected).max() > 1e-5  # it knows places


def named(model: Any) -> list[tuple[str, np.ndarray]]:
    """Its weights, each with the name of its layer."""
    return [(layer.name, one) for layer in model.layers for one in layer.get_weights()]


def choices(field: Any) -> Any:
    annotation: Any = config.TextTrain.model_fields[field].annotation
    return annotation.__args__


CHOICES = [
    {"loss": loss, "activation": activation, "optimizer": optimizer, "precision": precision}
    for loss, activation, optimizer, precision in zip(
        cycle(choices("loss")),
        choices("activation"),
        cycle(choices("optimizer")),
        cycle(["float32", "mixed_float16"]),
        strict=False,
    )
]


@pytest.mark.parametrize("changes", CHOICES, ids=lambda changes: "-".join(changes.values()))
def test_every_choice_trains(changes: Any) -> None:
    _, history = trained(setting(epochs=2, **changes))
    assert [row["epoch"] for row in history] == [1, 2]
    assert all(np.isfinite(list(row.values())).all() for row in history)


def test_stops_early_and_keeps_the_best_weights() -> None:
    settings = setting(epochs=40, patience=1, learning_rate=1.0)
    model, history = trained(settings)
    assert len(history) < 40
    x, y = rows()
    # History rounds and streams the loss; the model's own must be the least of it.
    loss = keras.losses.categorical_crossentropy(np.eye(CLASSES)[y], model.predict(x, verbose=0))
    assert float(np.mean(loss)) == pytest.approx(min(row["val_loss"] for row in history), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("decay", "rates"), [("none", [0.2, 0.2, 0.2]), ("cosine", [0.2, 0.1, 0.0])])
def test_the_learning_rate_falls_along_half_a_cosine(decay: str, rates: list[float]) -> None:
    settings = setting(decay=decay, learning_rate=0.2, epochs=6)
    model = build(settings)
    training.compile_model(model, settings, CLASSES, steps=5)
    found = []
    for step in (0, 15, 30):
        model.optimizer.iterations.assign(step)
        found.append(float(model.optimizer.learning_rate))
    assert found == pytest.approx(rates, abs=1e-6)


def test_a_loss_that_is_not_finite_says_to_lower_the_learning_rate() -> None:
    with pytest.raises(LuodiError, match=r"loss is (nan|inf).*lower train.learning_rate"):
        trained(setting(optimizer="sgd", loss="mean_squared_error", learning_rate=1e38, activation="elu"))


class Poisoned(batches.Batches):
    """Rows whose labels are no numbers from the third epoch on."""

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__(index)
        return x, y * (np.nan if self.epoch > 2 else 1)


def test_a_network_that_diverges_later_keeps_its_best_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    settings = setting(dropout=0.0)
    found = []
    for kind, epochs in ((Poisoned, 15), (batches.Batches, 2)):
        training.make_deterministic(settings.seed)
        model = build(settings)
        data = kind(*rows(), CLASSES, settings.batch_size, settings.seed, augment=lambda x, rng: x)
        training.compile_model(model, settings, CLASSES, len(data))
        judged = batches.Batches(*rows(), CLASSES, 5)
        fit = training.fit(model, settings.model_copy(update={"epochs": epochs}), data, judged)
        found.append((fit, [one.tobytes() for one in model.get_weights()]))
    (poisoned, weights), (sound, expected) = found
    assert weights == expected
    assert poisoned.history == sound.history
    (remark,) = poisoned.remarks
    assert re.match("training diverged: loss is nan after epoch 3 .*; the best epoch before it is kept; lower", remark)
    assert f"train: {remark}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([1.2, 1.1], ["the network learned nothing: its least val_loss, 1.1000, is not below 1.0986"]),
        ([0.5, 0.6], ["val_loss was least after the first epoch and never fell again"]),
        ([0.6, 0.5], []),
        ([0.5], []),
    ],
)
def test_says_what_training_did_not_do(losses: list[float], told: list[str]) -> None:
    stopping = training.Stopping(setting())
    stopping.best = min(losses)
    remarks = stopping.remarks([{"val_loss": loss} for loss in losses], CLASSES)
    assert len(remarks) == len(told)
    assert all(remark.startswith(begin) for remark, begin in zip(remarks, told, strict=True))


def test_memory_that_cannot_be_had_is_an_error_for_people() -> None:
    told = "memory of the cpu ran out in training: give it more memory"
    with pytest.raises(LuodiError, match=told), hardware.enough_memory():
        keras.ops.zeros((2**20, 2**20, 2**10))


def settings_of(chosen: config.TextTrain) -> config.TextSettings:
    return config.TextSettings(modality="text", labels=("a", "b", "c"), train=chosen)


@keras.saving.register_keras_serializable("test")
class Greedy(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Wants memory that no machine has for each row, but for the first two of a batch."""

    def call(self, x: Any) -> Any:
        extra = keras.ops.maximum(keras.ops.shape(x)[0] - 2, 0)
        return x + keras.ops.sum(keras.ops.zeros((extra, 2**30, 2**20)))


def greedy(settings: Any, encoder: Encoder) -> keras.Model:
    model = catalogue.find("text", "ngram").build(settings, encoder)
    return keras.Sequential([keras.Input(encoder.shape, dtype="int32"), model, Greedy()])


def test_where_memory_runs_out_a_batch_comes_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = setting(architecture=f"{__name__}:greedy", batch_size=8, epochs=2)
    net = fitting.fit_rows(settings_of(chosen), encoder(), rows(), rows())
    assert net.facts["batch_parts"] == 4
    assert 0 < net.facts["seconds_to_accuracy"] < 600 and net.facts["gflops"] >= 0
    (told,) = [line for line in net.facts["remarks"] if "memory" in line]
    assert told.startswith("memory of the cpu ran out: each batch of 8 comes in 4 parts, and their gradients are av")
    assert f"train: {told}" in capsys.readouterr().out
    with pytest.raises(LuodiError, match="memory of the cpu ran out in training: give it more"):
        fitting.fit_rows(settings_of(chosen.model_copy(update={"halve_batch": False})), encoder(), rows(), rows())


def test_what_no_onnx_file_holds_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "fit", lambda *_, **__: pytest.fail("it was trained"))
    monkeypatch.setattr(export, "LARGEST", 1000)
    with pytest.raises(
        WrongValue, match=r"has [\d,]+ weights, 0\.0 GB, and what is exported holds at most 0\.0: make it"
    ):
        fitting.fit_rows(settings_of(setting()), encoder(), rows(), rows())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_batch_in_parts_trains_as_a_whole_one_does(optimizer: str) -> None:
    """In an epoch of two batches of 8 and one of 4; of the table, rows that a batch does not look up stand still."""
    found = []
    for parts in (1, 2, 8):
        settings = setting(architecture="mlp", optimizer=optimizer, batch_size=8, dropout=0.0, epochs=3)
        training.make_deterministic(settings.seed)
        model = build(settings)
        data = batches.Batches(*rows(20), CLASSES, 8, settings.seed, parts=parts)
        assert len(data) == 3 * parts
        training.compile_model(model, settings, CLASSES, len(data), parts)
        whole = batches.Batches(*rows(20), CLASSES, 8)
        training.fit(model, settings, data, whole)
        found.append(model.get_weights())
    for first, second, third in zip(*found, strict=True):
        np.testing.assert_allclose(second, first, rtol=0, atol=1e-5)
        # Of four rows in eight parts each comes twice.
        np.testing.assert_allclose(third, first, rtol=0, atol=1e-5)


def test_says_before_it_begins_that_memory_will_not_do() -> None:
    model = build(setting(architecture="mlp"))
    assert hardware.shortage(model, setting(architecture="mlp")) is None
    told = hardware.shortage(model, setting(architecture="mlp", batch_size=2**30))
    assert told is not None
    assert re.match(r"memory will hardly do: training takes about [\d.]+ GiB more, and of [\d.]+ GiB", told)


def test_precision_auto_is_float32_where_no_gpu_is() -> None:
    if hardware.device() == "gpu":
        pytest.skip("there is a GPU")
    assert hardware.precision("auto") == "float32"
    assert hardware.precision("mixed_bfloat16") == "mixed_bfloat16"


def test_tells_one_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    trained(setting(epochs=2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in lines] == [" epoch 1/2", " epoch 2/2"]
    assert all("val_recall" in line for line in lines)
    assert re.search(r"\([\d.]+ s, at most \d+ s left\)$", lines[0])
    assert re.search(r"\([\d.]+ s\)$", lines[1])


def test_history_is_csv_without_time() -> None:
    row = dict.fromkeys(history.COLUMNS, 0.5) | {"epoch": 1}
    assert history.as_csv([row]) == ",".join(history.COLUMNS) + "\n1" + ",0.500000" * 6 + "\n"


truths = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(pairs=truths, cut=st.integers(0, 40))
def test_macro_recall_equals_its_formula_over_two_batches(pairs: list[tuple[int, ...]], cut: int) -> None:
    truth, guess = np.array(pairs).T
    metric = MacroRecall(4)
    for part in (slice(0, cut), slice(cut, None)):
        metric.update_state(np.eye(4)[truth[part]], np.eye(4)[guess[part]])
    recalls = [np.mean(guess[truth == c] == c) for c in range(4) if (truth == c).any()]
    assert float(metric.result()) == pytest.approx(np.mean(recalls), abs=1e-6)


def test_macro_recall_of_no_row_is_zero() -> None:
    assert float(MacroRecall(2).result()) == 0


def test_batches_hold_every_row_once_an_epoch_in_a_new_order_that_the_seed_decides() -> None:
    x = np.arange(25, dtype=np.int32)[:, None]
    first, second = (batches.Batches(x, np.zeros(25, np.int32), 2, 10, seed=3) for _ in range(2))
    orders = []
    for _ in range(2):
        seen = np.concatenate([first[i][0] for i in range(len(first))])
        np.testing.assert_array_equal(seen, np.concatenate([second[i][0] for i in range(len(second))]))
        assert sorted(seen.ravel()) == list(range(25))
        orders.append(seen.ravel().tolist())
        first.begin(2)
        second.begin(2)
    assert orders[0] != orders[1]


def test_tensorboard_reads_the_curves(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]  # no types
        EventAccumulator,
    )

    rows_of = [dict.fromkeys(history.COLUMNS, 0.5) | {"epoch": epoch, "val_accuracy": epoch / 4} for epoch in (1, 2, 3)]
    saving.save_curves(rows_of, tmp_path)
    found = EventAccumulator(str(tmp_path)).Reload()
    assert set(found.Tags()["scalars"]) == set(history.COLUMNS[1:])
    assert [(one.step, one.value) for one in found.Scalars("val_accuracy")] == [(1, 0.25), (2, 0.5), (3, 0.75)]
    before = (tmp_path / saving.CURVES).read_bytes()
    saving.save_curves(rows_of, tmp_path)
    assert (tmp_path / saving.CURVES).read_bytes() == before


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("ngram", 2 * 8 * CLASSES),
        ("mlp", 2 * (8 * 8 + 8 * CLASSES)),
        ("cnn", 2 * (LENGTH * 3 * 8 * 8 + 8 * CLASSES)),
        ("cnn_lstm", 2 * (LENGTH * 3 * 8 * 8 + LENGTH // 2 * (8 + 8) * 4 * 8 + 8 * CLASSES)),
        ("transformer", 2 * (LENGTH * 2 * (4 + 2) * 8 * 8 + 8 * CLASSES)),
    ],
)
def test_operations_of_a_row_are_those_of_its_products(architecture: str, expected: int) -> None:
    assert hardware.flops(build(setting(architecture=architecture))) == expected
