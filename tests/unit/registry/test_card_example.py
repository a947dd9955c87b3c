"""The call and the answer on a card: what the exported model says to something that nobody wrote."""

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from handmade import ENCODER, IMAGES, make

from luodi import config
from luodi.registry import card, example
from luodi.scoring.inference import Classifier

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def loaded(folder: Path, encoder: Any) -> Classifier:
    make(folder, encoder)
    return Classifier.load(folder)


def block(modality: str, asked: str | None = None, labels: tuple[str, ...] = ("no", "yes")) -> config.ModelSettings:
    raw = {"modality": modality, "labels": list(labels), "card": {"example": asked}}
    return config.parse({"models": {"m": raw}}, "params.yaml").models["m"]


@pytest.mark.parametrize(
    ("asked", "given"), [("好书", "好书"), (None, "no"), ("it's $HOME", "it's $HOME"), ("-1", "-1")]
)
def test_a_text_is_asked_and_the_card_shows_how(asked: str | None, given: str, tmp_path: Path) -> None:
    classifier = loaded(tmp_path, ENCODER)
    found = example.answered(classifier, block("text", asked))
    assert found is not None and found["given"] == given
    (scores,) = classifier.probabilities([given]).tolist()
    assert found["answer"] == pytest.approx(dict(zip(("no", "yes"), scores, strict=True)), abs=5e-5)
    assert list(found["answer"].values()) == sorted(found["answer"].values(), reverse=True)
    facts = {"example": found, "params": {"modality": "text"}}
    text = card.markdown("m@v1.0.0", NOW, "Ada", facts)
    said = re.search(r"\| Ask it \| (.*) \|", text)
    assert said and "computed by this model when it landed" in text
    assert shlex.split(re.sub(r"\\(?=[$_*~`|\[\]])", "", said[1])) == [
        "luodi", "predict", "m@v1.0.0", *["--"] * given.startswith("-"), given
    ]  # fmt: skip
    label, share = next(iter(found["answer"].items()))
    assert f"| It answers | {label} {100 * share:.1f}%" in text


def test_an_image_that_anybody_can_make_is_asked(tmp_path: Path) -> None:
    classifier = loaded(tmp_path, IMAGES)
    found = example.answered(classifier, block("image"))
    assert found is not None and found["given"] == [IMAGES.width, IMAGES.height]
    html = card.html("m@v1.0.0", NOW, "Ada", {"example": found, "params": {"modality": "image"}})
    (made,) = re.findall(r"Image\.new\(.*?\)\.save\(.*?\)", html.replace("&#39;", "'"))
    from PIL import Image

    exec(made.replace("'grey.png'", repr(str(tmp_path / "grey.png"))), {"Image": Image})
    (scores,) = classifier.probabilities([(tmp_path / "grey.png").read_bytes()]).tolist()
    assert found["answer"] == pytest.approx(dict(zip(("no", "yes"), scores, strict=True)), abs=5e-5)


def test_what_has_no_answer_and_what_is_no_example_is_left_out(tmp_path: Path) -> None:
    classifier = loaded(tmp_path, replace(ENCODER, labels=("<br>", "yes")))
    assert example.answered(classifier, block("text", labels=("<br>", "yes"))) is None
    for odd in (None, 7, {"given": "a"}, {"given": "a", "answer": 3}, {"given": [1, "x"], "answer": {"a": 1}}):
        text = card.markdown("m@v1.0.0", NOW, "Ada", {"example": odd, "params": {"modality": "text"}})
        assert '| Ask it | luodi predict m@v1.0.0 "TEXT" |' in text and "It answers" not in text
