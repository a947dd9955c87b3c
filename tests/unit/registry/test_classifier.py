"""luodi.load of a pulled folder: what it takes, what it refuses, and that nothing but the folder is needed."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from handmade import ENCODER, IMAGES, make
from PIL import Image
from typer.testing import CliRunner

import luodi
from luodi.cli.commands import app
from luodi.data import image
from luodi.data.modality import Encoder
from luodi.errors import MissingColumn, NoVersion, RegistryError
from luodi.files import folder_checksum, write_json
from luodi.registry.classifier import Registered

TEXTS = ["好书", "坏", "书书书书书书"]
PIXELS = np.random.default_rng(5).integers(0, 256, (3, 2, 3), np.uint8)


def pulled(folder: Path, encoder: Encoder = ENCODER, **facts: Any) -> Registered:
    """A folder as `luodi pull` leaves it."""
    folder.mkdir()
    make(folder, encoder)
    export = folder_checksum(folder)
    write_json(folder / "version.json", {"version": "reviews@v1.2.0", "format": 2, "export": export, **facts})
    (folder / "card.md").write_text("of facts")
    return luodi.load(folder)


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, pa.array, iter])
def test_texts_come_in_whatever_holds_them(kind: Any, tmp_path: Path) -> None:
    classifier = pulled(tmp_path / "model")
    expected = classifier.probabilities(TEXTS)
    np.testing.assert_array_equal(classifier.predict_proba(kind(TEXTS)), expected)
    labels = classifier.predict(kind(TEXTS))
    assert labels.tolist() == [classifier.labels[place] for place in expected.argmax(1)]
    assert classifier.version == "reviews@v1.2.0"
    assert classifier.predict([]).shape == (0,)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pa.array])
def test_it_is_scored_as_a_classifier_of_scikit_learn(kind: Any, tmp_path: Path) -> None:
    classifier = pulled(tmp_path / "model")
    truth = [*classifier.predict(TEXTS)[:2], "another"]
    assert classifier.score(TEXTS, kind(truth)) == pytest.approx(2 / 3)
    assert classifier.classes_.tolist() == list(classifier.labels)
    assert np.isnan(classifier.score([], []))
    with pytest.raises(TypeError, match="expected labels as str, such as 'no', found int 0: write map"):
        classifier.score(TEXTS, [0, 1, 0])
    with pytest.raises(ValueError, match="expected a label for each of 3 items, found 2"):
        classifier.score(TEXTS, truth[:2])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_it_goes_to_other_processes_of_this_machine(
    again: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As joblib and multiprocessing send it: by the place of its files, which are proven there."""
    monkeypatch.chdir(tmp_path)
    pulled(tmp_path / "model", params={"column": "review"})
    classifier = luodi.load("./model")
    monkeypatch.chdir("/")
    other = again(classifier)
    np.testing.assert_array_equal(other.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    assert (other.version, other.column, other.digest) == (classifier.version, "review", classifier.digest)
    (tmp_path / "model" / "encoder.json").write_text("{}")
    with pytest.raises(RegistryError, match=r"does not hold reviews@v1\.2\.0 as it was opened before"):
        again(classifier)


def test_scikit_learn_scores_it_as_a_classifier(tmp_path: Path) -> None:
    from sklearn.base import is_classifier
    from sklearn.metrics import get_scorer

    classifier = pulled(tmp_path / "model")
    truth = classifier.predict(TEXTS)[::-1]
    assert is_classifier(classifier)
    assert get_scorer("accuracy")(classifier, TEXTS, truth) == classifier.score(TEXTS, truth)
    assert get_scorer("neg_log_loss")(classifier, TEXTS, [*classifier.labels, classifier.labels[0]]) < 0


def test_a_notebook_shows_what_it_is_and_not_all_that_it_knows(tmp_path: Path) -> None:
    assert repr(pulled(tmp_path / "model")) == "<reviews@v1.2.0: text classifier of 2 labels>"


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pa.table, lambda found: {*found["review"]}])
def test_a_whole_table_is_refused_for_it_gives_the_names_of_its_columns(kind: Any, tmp_path: Path) -> None:
    """A data frame of one row had one answer, to the name of its column."""
    with pytest.raises(
        TypeError, match=r"expected a list of texts, or one column of a table, .*: write it\['review'\]"
    ):
        pulled(tmp_path / "model", params={"column": "review"}).predict(kind({"review": TEXTS}))


@pytest.mark.parametrize(
    ("options", "texts"), [([], ["好书", "坏"]), (["--text-column", "antwort"], ["x", "y"])], ids=["known", "named"]
)
def test_predict_reads_the_column_that_the_model_was_made_from(
    options: list[str], texts: list[str], tmp_path: Path
) -> None:
    table = tmp_path / "new.csv"
    table.write_text("nr,bewertung,antwort\n1,好书,x\n2,坏,y\n")
    pulled(tmp_path / "model", params={"column": "bewertung"})
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "model"), "--input", str(table), *options])
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == texts
    pulled(tmp_path / "plain", params={"column": None})
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "plain"), "--input", str(table)])
    assert isinstance(done.exception, MissingColumn)


def test_images_come_as_bytes_paths_and_pixels(tmp_path: Path) -> None:
    classifier = pulled(tmp_path / "model", IMAGES)
    files = [image.png(Image.fromarray(one)) for one in PIXELS]
    paths = [tmp_path / f"{place}.png" for place in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_bytes(content)
    expected = classifier.probabilities(files)
    for given in (files, paths, [str(path) for path in paths], list(PIXELS), PIXELS):
        np.testing.assert_array_equal(classifier.predict_proba(given), expected)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        classifier.predict([tmp_path / "gone.png"])


@pytest.mark.parametrize(
    ("encoder", "given", "message"),
    [
        (ENCODER, "好书", r"expected a list of texts, found one: write \[it\] instead"),
        (ENCODER, ["好书", None], "item 1 is NoneType None: expected a text; drop or fill"),
        (ENCODER, pd.Series(["好书", np.nan]), "item 1 is float nan"),
        (IMAGES, Path("a.png"), "expected a list of images, found one"),
        (IMAGES, [3], "item 0 is int 3: expected the bytes or the path of an image"),
        (IMAGES, [np.zeros((2, 3))], r"item 0 is an array of float64 \[2, 3\]"),
    ],
)
def test_what_cannot_be_classified_is_named(encoder: Encoder, given: Any, message: str, tmp_path: Path) -> None:
    classifier = pulled(tmp_path / "model", encoder)
    with pytest.raises(TypeError, match=message):
        classifier.predict(given)


def test_a_folder_that_no_pull_made_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(NoVersion, match="holds no pulled model: `luodi pull MODEL"):
        luodi.load(tmp_path)
    with pytest.raises(NoVersion):
        luodi.load(f"{tmp_path}/away")


@pytest.mark.parametrize("name", ["encoder.json", "model.onnx", "more.bin"])
def test_files_that_were_not_registered_are_refused(name: str, tmp_path: Path) -> None:
    pulled(tmp_path / "model")
    with (tmp_path / "model" / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(RegistryError, match=r"not those that were registered as reviews@v1\.2\.0"):
        luodi.load(tmp_path / "model")


@pytest.mark.slow
def test_a_pulled_folder_needs_no_project_no_git_and_no_dvc(tmp_path: Path) -> None:
    pulled(tmp_path / "model")
    command = [sys.executable, "-m", "luodi", "predict", "./model", "好书"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
    assert '"version": "reviews@v1.2.0"' in done.stdout
