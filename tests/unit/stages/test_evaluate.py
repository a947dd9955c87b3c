"""The evaluate stage with a classifier that is a table of scores: files, report, determinism, refusals."""

import base64
import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi import config
from luodi.checks import nearest
from luodi.config import user_code
from luodi.config.image import ImageSettings
from luodi.config.text import TextSettings
from luodi.data import image
from luodi.errors import ArtifactError
from luodi.files import write_json
from luodi.project.paths import ModelPaths, find_root
from luodi.registry import evidence, gate, rules
from luodi.report.formatting import at
from luodi.scoring import figures, inference
from luodi.scoring.metrics import METRICS
from luodi.scoring.scored import Scored
from luodi.stages import evaluate

LOAD = inference.Classifier.load  # before `lay` puts a table in its place
HOSTILE = "<script>alert('x')</script> & \" <img src=x onerror=y>"
CHOICE = {
    "chosen": "both",
    "metric": "accuracy",
    "validation": {"linear": {"accuracy": 0.8}, "net": {"accuracy": 0.7}, "both": {"accuracy": 0.9}},
}
LEVELS = {"the same": 0.9, "alike": 0.5}
VOID = {"meta", "link", "br", "img", "input"}


class Table:
    """Stands for the exported model: the scores it gives are known."""

    def __init__(self, labels: Any, scores: Any) -> None:
        self.labels = labels
        self.scores = dict(scores)

    def probabilities(self, texts: list[Any]) -> np.ndarray:
        return np.array([self.scores[text] for text in texts], np.float32)


def random_scores(rows: int, classes: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), rows).astype(np.float32)


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that lays a model's artifacts for given labels and scores, and its config and paths."""

    def lay_out(
        items: Any,
        truth: Any,
        scores: Any,
        baseline: Any,
        *,
        labels: Any = ("negative", "positive"),
        mistakes: int = 20,
        model: str = "reviews",
    ) -> Any:
        paths = ModelPaths(tmp_path, model)
        paths.rows.parent.mkdir(parents=True)
        label = pa.array(truth, pa.int32())
        block = config.load(find_root() / "params.yaml").models[model]
        columns = {block.modality: items, "label": label, "source": ["<b>web</b>"] * len(items)}
        pq.write_table(pa.table(columns | {"split": ["test"] * len(items)}), paths.rows)
        similar = np.linspace(1, 0, len(items))
        pq.write_table(nearest.table(np.arange(len(items)), np.arange(len(items)), similar, LEVELS), paths.nearest)
        paths.export.mkdir(parents=True)
        (paths.export / "model.onnx").write_bytes(b"12345")
        paths.baseline_scores.parent.mkdir(parents=True)
        np.save(paths.baseline_scores, np.asarray(baseline, np.float32))
        write_json(paths.choice, CHOICE)
        table = Table(labels, zip(items, scores, strict=True))
        monkeypatch.setattr(inference.Classifier, "load", lambda folder, plain=False: table)
        monkeypatch.setattr(inference, "latency", lambda classifier, item, repeats: 0.25)
        small = config.Evaluate(bootstrap=50, confidence=0.9, mistakes=mistakes, explained=0)
        return block.model_copy(update={"labels": labels, "evaluate": small}), paths

    return lay_out


def random_model(lay: Any, rows: int = 40, classes: int = 2, **more: Any) -> Any:
    labels = tuple(f"class {index}" for index in range(classes))
    truth = np.arange(rows) % classes
    texts = [f"text {'x' * (row % 7)} {row}" for row in range(rows)]
    scores, baseline = random_scores(rows, classes, 1), random_scores(rows, classes, 2)
    return lay(texts, truth, scores, baseline, labels=labels, **more)


def image_model(
    lay: Callable[..., Any], rows: int = 40, channels: int = 1, **more: Any
) -> tuple[ImageSettings, ModelPaths, list[bytes]]:
    """Images of growing brightness, all but one of the first class; every second one is taken for the second."""
    items = [
        image.png(Image.new("L", (6, 4), row) if channels == 1 else Image.new("RGB", (6, 4), (row, 0, row)))
        for row in range(rows)
    ]
    scores = [[0.9, 0.1] if row % 2 else [0.2, 0.8] for row in range(rows)]
    return (*lay(items, [0, 1, *[0] * (rows - 2)], scores, scores, model="digits", **more), items)


def outputs(paths: Any) -> Any:
    files = [path for path in paths.metrics.parent.rglob("*") if path.is_file() and path != paths.latency]
    return {str(path.relative_to(paths.artifacts)): path.read_bytes() for path in files}


def test_the_newest_rows_are_told_apart(lay: Any) -> None:
    truth, scores = np.arange(30) % 2, np.eye(2)[np.where(np.arange(30) < 27, np.arange(30) % 2, 1 - np.arange(30) % 2)]
    settings, paths = lay([f"text {row}" for row in range(30)], truth, scores, scores[:20])
    rows = pq.read_table(paths.rows)
    split = pa.array(["test"] * 20 + ["newest"] * 10)
    pq.write_table(rows.set_column(rows.column_names.index("split"), "split", split), paths.rows)
    pq.write_table(pq.read_table(paths.nearest).slice(0, 20), paths.nearest)
    evaluate.run(settings, paths)
    found = json.loads(paths.metrics.read_text())
    assert (found["rows"], found["model"]["accuracy"]["value"]) == (20, 1.0)
    assert (found["newest"]["rows"], found["newest"]["value"]) == (10, 0.7)
    text = " ".join(" ".join(Page(paths.evaluation_report.read_text(encoding="utf-8")).text).split())
    assert "Newest rows, a test set of their own: 70.0% of 10 right" in text


def test_rows_with_a_double_in_train_are_told_from_the_others(lay: Any) -> None:
    """20 of 40 rows come near to a train row, 4 of them very near, one of these is wrong, and so are all others."""
    truth = np.arange(40) % 2
    right = np.arange(40) < 20
    right[3] = False
    scores = np.eye(2)[np.where(right, truth, 1 - truth)]
    settings, paths = lay([f"text {row}" for row in range(40)], truth, scores, scores)
    evaluate.run(settings, paths)
    found = json.loads(paths.metrics.read_text())["nearest"]
    assert {name: (part["rows"], part["value"]) for name, part in found.items()} == {
        "near": (20, 0.95), "not near": (20, 0.0), "the same": (4, 0.75), "alike": (16, 1.0)
    }  # fmt: skip
    assert found["near"]["low"] == pytest.approx(figures.wilson(19, 20, 0.9)["low"], abs=1e-6)
    text = " ".join(Page(paths.evaluation_report.read_text(encoding="utf-8")).text)
    assert re.search(r"with a near train row\s+20\s+95.0%.*without one\s+20\s+0.0%.*of these: alike", text, re.DOTALL)


class Page(HTMLParser):
    """Reads a page as a browser would: its tags, its text, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, Any]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_metrics_hold_what_later_stages_read(lay: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    block, paths = random_model(lay)
    evaluate.run(block, paths)
    figures = json.loads(paths.metrics.read_text())
    assert set(figures) == {
        "model", "baseline", "difference", "proof", "classes", "slices", "test_share", "size_bytes", "rows", "choice",
        "calibration_by_chance", "format", "nearest", "newest",
    }  # fmt: skip
    for who in ("model", "baseline", "difference"):
        for name in METRICS:
            assert set(figures[who][name]) == {"value", "low", "high"}
    assert (figures["size_bytes"], figures["rows"], figures["test_share"]) == (5, 40, 1)
    assert figures["proof"]["difference"] == figures["difference"]["accuracy"]
    assert json.loads(paths.latency.read_text())["median_ms"] == 0.25
    assert "ms" not in json.dumps(figures)
    assert "Accuracy" in capsys.readouterr().out


def test_two_runs_write_the_same_bytes(lay: Callable[..., Any]) -> None:
    block, paths = random_model(lay, classes=3)
    evaluate.run(block, paths)
    first = outputs(paths)
    evaluate.run(block, paths)
    assert outputs(paths) == first
    assert {name.rsplit("/", 1)[1] for name in first} == {
        "headline.json", "metrics.json", "mistakes.csv", "report.html", "sample.json",
        "confusion.csv", "calibration.csv", "roc.csv", "precision_recall.csv",
    }  # fmt: skip


def test_the_headline_is_a_line_of_the_figures_measured(lay: Callable[..., Any]) -> None:
    block, paths = random_model(lay, classes=3)
    evaluate.run(block, paths)
    headline, measured = json.loads(paths.headline.read_text()), json.loads(paths.metrics.read_text())
    assert len(headline) <= 12 and not [value for value in headline.values() if isinstance(value, dict | list)]
    accuracy = measured["model"]["accuracy"]
    shown = [headline[name] for name in ("accuracy", "accuracy_low", "accuracy_high")]
    assert shown == pytest.approx([accuracy["value"], accuracy["low"], accuracy["high"]], abs=5e-5)
    assert headline["accuracy_baseline"] == pytest.approx(measured["baseline"]["accuracy"]["value"], abs=5e-5)
    assert headline["test_rows"] == measured["rows"]


def test_a_text_cannot_become_markup(lay: Callable[..., Any]) -> None:
    texts = [HOSTILE, "fine"]
    scores = [[0.1, 0.9], [0.2, 0.8]]
    block, paths = lay(texts, [0, 1], scores, scores, labels=("<i>no</i>", "</style>yes"))
    evaluate.run(block, paths)
    page = Page(paths.evaluation_report.read_text())
    assert not {"script", "img", "i"} & set(page.tags)
    assert page.open == []
    text = "".join(page.text)
    for hostile in (HOSTILE, "<i>no</i>", "</style>yes", "<b>web</b>"):
        assert hostile in text


@pytest.mark.parametrize("classes", [2, 5])
def test_the_page_asks_nothing_of_anyone(lay: Callable[..., Any], classes: int) -> None:
    block, paths = random_model(lay, classes=classes)
    evaluate.run(block, paths)
    text = paths.evaluation_report.read_text()
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    asked = [value or "" for name, value in page.attributes if name in ("src", "href", "srcset")]
    assert all(value.startswith("#part-") for value in asked)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\(|nan|None", text)


@pytest.mark.parametrize(
    ("model", "baseline", "word"),
    [
        ([0.1, 0.9], [0.9, 0.1], "better than the linear baseline"),
        ([0.9, 0.1], [0.1, 0.9], "worse than the linear baseline"),
        ([0.1, 0.9], [0.2, 0.8], "No clear difference"),
    ],
)
def test_the_headline_says_how_the_model_stands(
    lay: Callable[..., Any], model: list[float], baseline: list[float], word: str
) -> None:
    texts = [f"text {row}" for row in range(20)]
    truth = [0, 1] * 10

    def towards(scores: list[float]) -> list[list[float]]:
        return [scores if label else scores[::-1] for label in truth]

    block, paths = lay(texts, truth, towards(model), towards(baseline))
    evaluate.run(block, paths)
    assert word in paths.evaluation_report.read_text()


@pytest.mark.parametrize(
    ("low", "high", "better", "expected"),
    [
        (0.01, 0.02, 1, "better"),
        (0.01, 0.02, -1, "worse"),
        (-0.02, -0.01, 1, "worse"),
        (-0.02, -0.01, -1, "better"),
        (-0.01, 0.01, 1, "level"),
        (-0.01, 0.01, -1, "level"),
        (0.0, 0.01, 1, "level"),
        (-0.01, 0.0, 1, "level"),
        (0.0, 0.0, 1, "level"),
    ],
)
def test_verdict_is_level_unless_the_interval_leaves_out_zero(
    low: float, high: float, better: int, expected: str
) -> None:
    assert evaluate.verdict({"value": (low + high) / 2, "low": low, "high": high}, better) == expected


def test_every_mistake_is_a_line_of_the_sheet_the_most_confident_first(lay: Any) -> None:
    texts = [f"text {row}" for row in range(6)]
    scores = [[0.4, 0.6], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]
    block, paths = lay(texts, [0] * 5 + [1], scores, scores[::-1], mistakes=3)
    evaluate.run(block, paths)
    with paths.mistakes.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["place", "truth", "predicted", "baseline", "confidence", "text"]
    assert [row[-1] for row in rows] == ["text 1", "text 2", "text 4", "text 0"]
    assert rows[0] == ["<b>web</b>", "negative", "positive", "positive", "0.9000", "text 1"]
    shown = Page(paths.evaluation_report.read_text()).text
    assert [text for text in shown if text.startswith("text ")] == ["text 1", "text 2", "text 4"]


@pytest.mark.slow
def test_many_classes_make_a_page_that_one_can_read(lay: Any) -> None:
    """Worst first, what is never recognised by name, pairs with their rows, no table of 22,500 cells."""
    classes, rows = 150, 1500
    truth = np.arange(rows) % classes
    labels = tuple(f"intent {index}" for index in range(classes))
    sure = np.full((rows, classes), 0.001, np.float32)
    answers = np.where(truth == 7, 8, np.where((truth == 9) & (np.arange(rows) < 900), 8, truth))
    sure[np.arange(rows), answers] = 1 - 0.001 * (classes - 1)
    block, paths = lay([f"text {row}" for row in range(rows)], truth, sure, sure, labels=labels, mistakes=1000)
    add_rows(paths, [(label, "train") for label in range(classes)] * 2)
    evaluate.run(block, paths)
    html = paths.evaluation_report.read_text()
    assert len(html) < 400_000
    assert "1 of 150 classes is never recognised</b>: intent 7." in html
    classes = json.loads(paths.metrics.read_text())["classes"]
    assert {name: one["taken_for"] for name, one in classes.items() if "taken_for" in one} == {"intent 7": "intent 8"}
    shown = "".join(Page(html).text)
    assert shown.index("intent 7") < shown.index("intent 9") < shown.index("The other 130 classes")
    cell = '<td class="(?:text|number)" data-name="[^"]*">'
    pairs = re.findall(rf"{cell}(intent \d+)</td>{cell}(intent \d+)</td>{cell}(\d+)", html)
    assert pairs == [("intent 7", "intent 8", "10"), ("intent 9", "intent 8", "6")]
    assert html.count("<rect") < 1000 and html.count("<td") < 3000


def test_mistakes_beyond_fifty_are_folded(lay: Any) -> None:
    block, paths = random_model(lay, rows=400, mistakes=1000)
    evaluate.run(block, paths)
    wrong = int(re.findall(r"(\d+) of \1 mistakes", paths.evaluation_report.read_text())[0])
    assert f"<summary>{wrong - 50} more</summary>" in paths.evaluation_report.read_text()


def test_mistakes_are_named_by_where_they_stood(lay: Any) -> None:
    block, paths = random_model(lay, rows=40)
    rows = pq.read_table(paths.rows)
    pq.write_table(rows.append_column("origin", pa.array([f"hotels.csv, line {row}" for row in range(40)])), paths.rows)
    evaluate.run(block, paths)
    found = re.findall(
        r'text x* (\d+)<br><span class="soft">hotels\.csv, line (\d+)<', paths.evaluation_report.read_text()
    )
    assert found and all(text == line for text, line in found)


@pytest.mark.parametrize(
    ("truth", "scores", "expected"),
    [
        ([1], [[0.4, 0.6]], "None: every test row is predicted right"),
        ([0, 0], [[0.4, 0.6], [0.6, 0.4]], "ROC AUC is not defined"),
        ([1, 1], [[0.4, 0.6], [0.6, 0.4]], "ROC AUC is not defined"),
    ],
    ids=["one row, right", "no positive", "no negative"],
)
def test_a_test_split_too_poor_for_a_figure_still_has_a_report(
    lay: Callable[..., Any], truth: list[int], scores: list[list[float]], expected: str
) -> None:
    block, paths = lay([f"text {row}" for row in range(len(truth))], truth, scores, scores)
    evaluate.run(block, paths)
    assert expected in paths.evaluation_report.read_text()
    assert "roc_auc" not in json.loads(paths.metrics.read_text())["model"]


def test_a_model_that_gives_nan_is_refused_and_leaves_the_old_files(lay: Any) -> None:
    block, paths = random_model(lay)
    evaluate.run(block, paths)
    before = outputs(paths)
    classifier: Any = inference.Classifier.load(paths.export)
    classifier.scores = {text: [np.nan, np.nan] for text in classifier.scores}
    with pytest.raises(ArtifactError, match="NaN has diverged"):
        evaluate.run(block, paths)
    assert outputs(paths) == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda paths: paths.baseline_scores.unlink(), "run `luodi baseline reviews` first"),
        (lambda paths: paths.baseline_scores.write_bytes(b""), "run `luodi baseline reviews` again"),
        (lambda paths: paths.baseline_scores.write_bytes(b"\x93NUMPY"), "run `luodi baseline reviews` again"),
        (lambda paths: np.save(paths.baseline_scores, np.ones((3, 2))), r"expected shape \(40, 2\)"),
        (lambda paths: paths.rows.unlink(), "run `luodi preprocess reviews` first"),
    ],
    ids=["no baseline", "empty baseline", "cut baseline", "other rows", "no rows"],
)
def test_a_missing_or_broken_input_names_the_stage_to_run(
    lay: Callable[..., Any], spoil: Callable[..., Any], message: str
) -> None:
    block, paths = random_model(lay)
    spoil(paths)
    with pytest.raises(ArtifactError, match=message):
        evaluate.run(block, paths)
    assert not paths.metrics.exists()


def test_an_export_of_other_labels_is_refused(lay: Callable[..., Any]) -> None:
    block, paths = random_model(lay)
    other = block.model_copy(update={"labels": ("class 1", "class 0")})
    with pytest.raises(ArtifactError, match="run `dvc repro`"):
        evaluate.run(other, paths)


@pytest.mark.slow
def test_evaluate_imports_nothing_heavy() -> None:
    code = (
        "import sys; import luodi.stages.evaluate; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'dvc', 'great_expectations', 'airflow'}; "
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("channels", [1, 3])
def test_mistakes_of_an_image_model_are_pictures(lay: Callable[..., Any], channels: int) -> None:
    block, paths, items = image_model(lay, channels=channels, mistakes=3, labels=("<i>no</i>", "yes"))
    evaluate.run(block, paths)
    page = Page(paths.evaluation_report.read_text())
    assert page.open == []
    pictures = [value for name, value in page.attributes if name == "src"]
    expected = [items[row] for row in (1, 0, 2)]  # the wrongly labelled one is the surest
    assert pictures == [f"data:image/png;base64,{base64.b64encode(item).decode()}" for item in expected]
    assert sum("image-rendering: pixelated" in value for name, value in page.attributes if name == "style") == 3
    assert not {"script", "link", "iframe", "object", "i"} & set(page.tags)
    asked = [value or "" for name, value in page.attributes if name in ("href", "srcset")]
    assert all(value.startswith("#part-") for value in asked)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    text = "".join(page.text)
    assert "logistic regression on edges and colours" in text
    assert "n-gram" not in text
    assert "characters" not in text


def test_image_models_are_sliced_by_intensity(lay: Callable[..., Any]) -> None:
    block, paths, _ = image_model(lay)
    evaluate.run(block, paths)
    slices = json.loads(paths.metrics.read_text())["slices"]
    assert set(slices) == {"intensity", "source"}
    assert [part["rows"] for part in slices["intensity"].values()] == [10, 10, 10, 10]
    assert slices["intensity"]["q1"]["from"] == 0
    assert slices["intensity"]["q4"]["to"] == pytest.approx(39 / 255, abs=1e-6)
    assert "mean intensity 0.000 – 0.035" in paths.evaluation_report.read_text()


def test_a_metric_of_ones_own_is_measured_and_shown_with_its_title(
    lay: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ours.py").write_text(
        "def half_right(truth, predicted, weights):\n    return weights @ (truth == predicted) / weights.sum(1) / 2\n"
    )
    block, paths = random_model(lay)
    block = block.model_copy(update={"gate": block.gate.model_copy(update={"metric": "ours:half_right"})})
    with user_code.importable(tmp_path):
        evaluate.run(block, paths)
    found = json.loads(paths.metrics.read_text())
    for who in ("model", "baseline", "difference"):
        assert found[who]["ours:half_right"]["value"] == pytest.approx(found[who]["accuracy"]["value"] / 2, abs=1e-6)
    assert found["proof"]["metric"] == "ours:half_right"
    assert found["proof"]["difference"] == found["difference"]["ours:half_right"]
    page = "".join(Page(paths.evaluation_report.read_text()).text)
    assert "Half right" in page
    assert "half_right of ours, of your own" in page
    assert "points of half right" in page
    assert "Half right" in capsys.readouterr().out


def test_two_runs_on_images_write_the_same_bytes(lay: Callable[..., Any]) -> None:
    block, paths, _ = image_model(lay)
    evaluate.run(block, paths)
    first = outputs(paths)
    evaluate.run(block, paths)
    assert outputs(paths) == first


def test_the_page_says_which_model_it_is(lay: Any) -> None:
    settings, paths = random_model(lay)
    evaluate.run(settings, paths)
    words = (
        "the mean of the linear model and the network; accuracy on validation rows: linear 0.8000, net 0.7000, both 0.9"
    )
    found = re.search(r"The model is (the [^<]*)", paths.evaluation_report.read_text())
    assert found is not None
    assert found[1] == f"{words}000."
    assert json.loads(paths.metrics.read_text())["choice"] == CHOICE
    paths.choice.unlink()
    with pytest.raises(ArtifactError, match=r"choice.json does not exist: run `luodi train reviews` first"):
        evaluate.run(settings, paths)


def answered(lay: Any, counts: Any, labels: Any) -> Any:
    """Two classes and how many test rows both, the model alone, the baseline alone, or neither gets right."""
    truth = np.arange(sum(counts)) % 2
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], counts, axis=0).T
    scores, baseline = (np.eye(2)[np.where(side, truth, 1 - truth)] * 0.8 + 0.1 for side in right)
    block, paths = lay([f"text {row}" for row in range(len(truth))], truth, scores, baseline, labels=labels)
    add_rows(paths, [(row % 2, "train") for row in range(4)])
    return block, paths


def add_rows(paths: ModelPaths, others: list[tuple[int, str]]) -> None:
    """Add rows of these labels and splits behind the test rows."""
    table = pq.read_table(paths.rows)
    rows = [(f"more {place}", label, "web", split) for place, (label, split) in enumerate(others)]
    columns = dict(zip(table.column_names, zip(*rows, strict=True), strict=True))
    pq.write_table(pa.concat_tables([table, pa.table(columns, table.schema)]), paths.rows)


@pytest.mark.parametrize(("wins", "losses", "standing"), [(44, 27, "level"), (50, 27, "better"), (20, 60, "worse")])
def test_the_evaluation_says_of_the_baseline_what_the_gate_finds(
    lay: Callable[..., Any], wins: int, losses: int, standing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """44 against 27: a bootstrap of [0.0011, 0.0183] called it better, the gate's exact test has p = 0.057."""
    block, paths = answered(lay, (1400, wins, losses, 280), ("no", "yes"))
    block = block.model_copy(update={"evaluate": config.Evaluate(bootstrap=200, explained=0)})
    evaluate.run(block, paths)
    figures = json.loads(paths.metrics.read_text())
    low, high = (figures["proof"]["difference"][end] for end in ("low", "high"))
    assert ("better" if low > 0 else "worse" if high < 0 else "level") == standing
    assert (figures["proof"]["p"] < 0.05) == (standing != "level")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Accuracy"))
    assert line.endswith(standing)
    text = {"level": "No clear difference", "better": "better than", "worse": "worse than"}
    assert text[standing] in paths.evaluation_report.read_text()
    (beside, *_) = rules.of_evaluation(figures, block.gate)
    assert (beside.kept, beside.broken) == (low > -0.01, standing == "worse")
    tone = "bad" if beside.broken else "good" if beside.kept else "warn"
    assert f'class="verdict {tone}"' in paths.evaluation_report.read_text()


def test_the_linear_model_is_not_compared_with_itself(lay: Any, capsys: pytest.CaptureFixture[str]) -> None:
    block, paths = answered(lay, (300, 0, 0, 30), ("no", "yes"))
    write_json(paths.choice, CHOICE | {"chosen": "linear"})
    evaluate.run(block.model_copy(update={"evaluate": config.Evaluate(bootstrap=200, explained=0)}), paths)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Accuracy"))
    assert line.endswith("same")
    page = paths.evaluation_report.read_text()
    assert "The model is the linear baseline itself: there is nothing to compare." in page
    assert "lear difference" not in page


def test_all_rows_right_is_no_proof_of_perfection(lay: Callable[..., Any]) -> None:
    """51 of 51 had the interval 1.0000 - 1.0000."""
    block, paths = answered(lay, (51, 0, 0, 0), ("no", "yes"))
    evaluate.run(block, paths)
    figures = json.loads(paths.metrics.read_text())
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "average_precision", "roc_auc"):
        assert figures["model"][name]["value"] == figures["model"][name]["high"] == 1
        assert 0.89 < figures["model"][name]["low"] < 0.97
    assert figures["classes"]["no"]["judged"]["low"] < 0.95


def rare(lay: Callable[..., Any], counts: tuple[int, ...], extra: int = 0) -> tuple[TextSettings, ModelPaths]:
    """All test rows right, `counts` of them of each class; `extra` rows of the last one are scored out of fold."""
    labels = tuple(f"class {index}" for index in range(len(counts)))
    truth = np.repeat(np.arange(len(counts)), counts)
    scores = np.eye(len(counts))[truth] * 0.96 + 0.04 / len(counts)
    block, paths = lay([f"text {row}" for row in range(len(truth))], truth, scores, scores, labels=labels)
    others = [(len(counts) - 1, "train" if row % 3 else "validation") for row in range(extra)]
    others += [(index, "train") for index in range(len(counts))] * 2
    add_rows(paths, others + [(0, "train")] * (9 * len(truth) - len(others)))
    if extra:
        given = np.eye(len(counts))[[len(counts) - 1] * (extra - 1) + [0]].tolist()
        for path in (paths.out_of_fold, paths.baseline_out_of_fold):
            write_out_of_fold(path, len(truth), given)
    return block.model_copy(update={"gate": config.Gate()}), paths


def write_out_of_fold(path: Path, first: int, scores: list[list[float]]) -> None:
    """Scores of the rows from `first` on."""
    path.parent.mkdir(exist_ok=True)
    rows = pa.array(range(first, first + len(scores)), pa.int64())
    pq.write_table(pa.table({"row": rows, "probabilities": pa.array(scores, pa.list_(pa.float32()))}), path)


@pytest.fixture
def few_rows(lay: Callable[..., Any]) -> tuple[TextSettings, ModelPaths]:
    """40 test rows, of which the model gets one wrong that the baseline gets right, and 300 others out of fold.

    Of 200 train rows among these the model gets 24 right that the baseline gets wrong, of 100 of validation none.
    """
    truth = np.arange(40) % 2
    right, wrong = np.array([[0.9, 0.1], [0.1, 0.9]])[truth], np.array([[0.1, 0.9], [0.9, 0.1]])[truth]
    one = np.arange(40)[:, None] == 0
    block, paths = lay([f"text {row}" for row in range(40)], truth, np.where(one, wrong, right), right)
    add_rows(paths, [(row % 2, "train" if row < 200 else "validation") for row in range(300)])
    sure = [[0.9, 0.1] if row % 2 == 0 else [0.1, 0.9] for row in range(300)]
    model = [one[::-1] if row >= 200 else one for row, one in enumerate(sure)]
    baseline = [one[::-1] if row < 24 else one for row, one in enumerate(sure)]
    write_out_of_fold(paths.out_of_fold, 40, model)
    write_out_of_fold(paths.baseline_out_of_fold, 40, baseline)
    return block.model_copy(update={"gate": config.Gate(minimum=0.5, min_class_rows=0)}), paths


def test_train_rows_out_of_fold_help_to_prove_a_model_of_few_test_rows(few_rows: Any) -> None:
    """Those of validation do not, for they chose the model; what the page compares are the test rows alone."""
    block, paths = few_rows
    evaluate.run(block, paths)
    found = json.loads(paths.metrics.read_text())
    proof, tested = found["proof"], found["difference"]["accuracy"]
    assert (proof["rows"], proof["out_of_fold"]) == (240, 200)
    assert (proof["mcnemar"]["challenger"], proof["mcnemar"]["champion"]) == (24, 1)
    assert proof["difference"]["value"] == round(23 / 240, 6)
    assert tested["value"] == -0.025
    (ruling, *_) = rules.of_evaluation(found, block.gate)
    assert ruling.kept
    assert ruling.found.endswith("1 rows lost of 240, of which 200 were scored out of fold")
    paths.out_of_fold.unlink()
    evaluate.run(block, paths)
    found = json.loads(paths.metrics.read_text())
    assert (found["proof"]["rows"], found["proof"]["out_of_fold"]) == (40, 0)
    assert found["proof"]["difference"] == found["difference"]["accuracy"] == tested
    (ruling, *_) = rules.of_evaluation(found, block.gate)
    assert ruling.undecided


def test_rows_out_of_fold_tell_less_than_as_many_test_rows(few_rows: Any) -> None:
    """The models of the folds share rows: the variance of what they say is 2.5 times that of test rows."""
    block, paths = few_rows
    evaluate.run(block, paths)
    found = json.loads(paths.metrics.read_text())["proof"]["difference"]
    truth = np.arange(240) % 2
    right, wrong = np.array([[0.9, 0.1], [0.1, 0.9]])[truth], np.array([[0.1, 0.9], [0.9, 0.1]])[truth]
    lost, won = np.arange(240)[:, None] == 0, (np.arange(240)[:, None] >= 40) & (np.arange(240)[:, None] < 64)
    as_test = evidence.decisive(
        Scored(truth, np.where(lost, wrong, right)), Scored(truth, np.where(won, wrong, right)), block.gate
    ).difference
    reach = ((40 + 2.5 * 200) / 240) ** 0.5
    assert found["value"] - found["low"] == pytest.approx(reach * (as_test.value - as_test.low), abs=0.002)


def test_a_model_that_was_made_smaller_is_proven_by_test_rows_alone(
    few_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of fold the whole model was asked."""
    block, paths = few_rows
    figure = {"size_bytes": 5, "figures": {"accuracy": 1.0, "calibration_error": 0.0}}
    facts = {"chosen": "int8", "metric": "accuracy", "margin": 0.01, "confidence": 0.95, "max_slowdown": 1.0, "rows": 9}
    facts |= {"uncompressed": figure, "candidates": {}}
    monkeypatch.setattr(evaluate, "_compression", lambda paths: {"compression": facts})
    evaluate.run(block, paths)
    assert json.loads(paths.metrics.read_text())["proof"]["out_of_fold"] == 0


@pytest.mark.parametrize("counts", [(500, 0), (500, 1), (30, 30, 0), (30, 31, 0)])
def test_a_class_without_test_rows_is_not_landed(lay: Callable[..., Any], counts: tuple[int, ...]) -> None:
    """5,000 rows `ok` and 5 `fraud`; 300, 300 and 1 row: both landed, with no test row of the last class."""
    block, paths = rare(lay, counts)
    evaluate.run(block, paths)
    decision = gate.judge(json.loads(paths.metrics.read_text()), 1, block.gate, None, None)
    few = counts[-1]
    assert decision.verdict == "insufficient evidence"
    assert decision.reasons[0] == (
        f"class class {len(counts) - 1} is judged by {few} row{'s' * (few != 1)}, expected 10: about "
        f"{10 * (10 - few)} more of its rows in the data would do"
    )
    page = paths.evaluation_report.read_text()
    assert f"class class {len(counts) - 1} is judged by" in page
    assert 'class="verdict warn"' in page  # as the page of the comparison is
    accepted = block.gate.model_copy(update={"unproven": (block.labels[-1],)})
    assert gate.judge(json.loads(paths.metrics.read_text()), 1, accepted, None, None).verdict == "promote"


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_class_of_one_group_judges_nobody(lay: Callable[..., Any], split: str) -> None:
    """What was fitted without its group never saw the class: that it is not found tells nothing of the recipe."""
    tests = 34 if split == "test" else 0
    truth = np.repeat([0, 1], [500, tests])
    scores = np.tile([0.95, 0.05], (len(truth), 1))
    block, paths = lay([f"text {row}" for row in range(len(truth))], truth, scores, scores, labels=("ok", "rare"))
    add_rows(paths, [(0, "train")] * 20 + [(1, "train")] * (34 - tests))
    table = pq.read_table(paths.rows)
    group = np.where(table["label"].to_numpy() == 1, 10_000, np.arange(len(table)))
    pq.write_table(table.append_column("group", pa.array(group)), paths.rows)
    if split == "train":
        for path in (paths.out_of_fold, paths.baseline_out_of_fold):
            write_out_of_fold(path, len(truth), [[0.95, 0.05]] * 54)
    evaluate.run(block, paths)
    found = json.loads(paths.metrics.read_text())
    assert found["classes"]["rare"]["judged"]["rows"] == 0
    assert found["classes"]["rare"]["unlearned"] == {"rows": 34, "groups": 1}
    assert "unlearned" not in found["classes"]["ok"]
    decision = gate.judge(found, 1, config.Gate(), None, None)
    assert decision.verdict == "insufficient evidence"
    assert decision.reasons[0] == (
        "class rare is judged by 0 rows, expected 10: 34 more, all of one group, judge nothing, for what was fitted "
        "without them does not know the class"
    )
    assert "add rows of the classes named, of other groups" in decision.reasons[-1]
    assert gate.judge(found, 1, config.Gate(unproven=("rare",)), None, None).verdict == "promote"


def test_a_figure_that_does_not_exist_says_so(lay: Callable[..., Any]) -> None:
    block, paths = rare(lay, (500, 0))
    evaluate.run(block, paths)
    classes = json.loads(paths.metrics.read_text())["classes"]
    found = classes["class 1"]
    assert (found["precision"], found["recall"], found["f1"], found["support"]) == (None, None, None, 0)
    assert found["predictions"]["rows"] == 0
    sure = classes["class 0"]["predictions"]
    assert f"{sure['low']:.4f} – {sure['high']:.4f}" in paths.evaluation_report.read_text()
    assert found["judged"] == {"value": None, "low": None, "high": None, "rows": 0, "out_of_fold": 0}
    assert '<td class="number" data-name="Precision">none</td>' in paths.evaluation_report.read_text()


def test_a_class_is_judged_by_all_that_it_has(lay: Callable[..., Any]) -> None:
    from scipy import stats

    block, paths = rare(lay, (500, 2), extra=10)
    evaluate.run(block, paths)
    figures = json.loads(paths.metrics.read_text())
    judged = figures["classes"]["class 1"]["judged"]
    low, high = stats.binomtest(11, 12).proportion_ci(0.9, "wilson")
    assert judged == pytest.approx(
        {"value": 11 / 12, "low": low, "high": high, "rows": 12, "out_of_fold": 10}, abs=1e-6
    )
    assert figures["classes"]["class 0"]["judged"]["rows"] == 500
    assert gate.judge(figures, 1, block.gate, None, None).verdict == "promote"
    assert "10 other rows" in paths.evaluation_report.read_text()


@pytest.mark.parametrize(
    ("rows", "scores"),
    [([0], [[0.5, 0.5]]), ([502, 502], [[0.5, 0.5]] * 2), ([99999], [[0.5, 0.5]]), ([502], [[1.0]])],
    ids=["a test row", "twice", "no such row", "other classes"],
)
def test_out_of_fold_rows_that_do_not_fit_name_the_stage_to_run(
    lay: Callable[..., Any], rows: list[int], scores: list[list[float]]
) -> None:
    block, paths = rare(lay, (500, 2), extra=10)
    found = pa.array(scores, pa.list_(pa.float32()))
    pq.write_table(pa.table({"row": pa.array(rows, pa.int64()), "probabilities": found}), paths.out_of_fold)
    with pytest.raises(ArtifactError, match="run `luodi train reviews` again"):
        evaluate.run(block, paths)


def test_rows_that_stand_together_widen_every_interval(lay: Any) -> None:
    """Of 40 rows ten groups of four say the same: figures reach as far as those of ten, and the page says so."""
    truth, right = np.arange(10).repeat(4) % 2, np.repeat(np.arange(10) < 8, 4)
    scores = np.eye(2)[np.where(right, truth, 1 - truth)]
    settings, paths = lay([f"text {row}" for row in range(40)], truth, scores, scores)
    add_rows(paths, [(row % 2, "train") for row in range(4)])
    evaluate.run(settings, paths)
    bare = json.loads(paths.metrics.read_text())
    rows = pq.read_table(paths.rows)
    groups = [*np.arange(10).repeat(4), *range(10, 14)]
    pq.write_table(rows.append_column("group", pa.array(groups, pa.int64())), paths.rows)
    evaluate.run(settings, paths)
    found = json.loads(paths.metrics.read_text())
    assert (found.pop("groups"), "groups" in bare) == (10, False)
    text = " ".join(" ".join(Page(paths.evaluation_report.read_text(encoding="utf-8")).text).split())
    assert "of 10 groups, and rows of a group may be right or wrong together" in text
    for path in (
        "model.accuracy", "model.macro_f1", "model.log_loss", "classes.positive.judged", "classes.positive.predictions",
        "slices.source.<b>web</b>", "nearest.not near",
    ):  # fmt: skip
        grouped, single = (at(one, *path.split(".")) for one in (found, bare))
        assert grouped["value"] == single["value"]
        assert grouped["low"] < single["low"] - 0.01, path


@pytest.mark.parametrize("kind", ["text", "image"])
def test_the_surest_mistakes_say_why_by_the_exported_model_itself(
    kind: str, lay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ("no", "yes")
    known: dict[str, list[Any]] = {
        "text": ["好坏书", "书书", "坏好", "好", "坏坏坏好"],
        "image": [image.png(Image.effect_noise((3, 2), 90)) for _ in range(5)],
    }
    items = known[kind]
    handmade.make(tmp_path, {"text": handmade.ENCODER, "image": handmade.IMAGES}[kind])
    classifier = LOAD(tmp_path)
    scores = classifier.probabilities(items)
    truth = 1 - scores.argmax(1)  # each is a mistake
    model = {"text": "reviews", "image": "digits"}[kind]
    block, paths = lay(items, truth, scores, scores, labels=labels, model=model)
    monkeypatch.setattr(inference.Classifier, "load", lambda folder, **_: classifier)
    block = block.model_copy(update={"evaluate": block.evaluate.model_copy(update={"explained": 3})})
    evaluate.run(block, paths)
    html = paths.evaluation_report.read_text(encoding="utf-8")
    assert "The first 3 say why" in html
    assert html.count("for it: ") == html.count('class="why"') == 3
    first = outputs(paths)
    evaluate.run(block, paths)
    assert outputs(paths) == first
