"""A call and its answer for the model card. What is asked is made up: a tag is for ever, and no row belongs there."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luodi import config
from luodi.errors import EmptyData

if TYPE_CHECKING:
    from luodi.scoring.inference import Classifier

MOST = 3  # labels that are named of an answer
GREY = 128


def answered(classifier: "Classifier", block: config.ModelSettings) -> dict[str, Any] | None:
    """Return what the exported model answers: "given", in words or a size, and the probability of its likeliest labels.

    None where it has no answer to what is asked, as to a text that its cleaning leaves nothing of.
    """
    given, item = ASKED[block.modality](classifier, block)
    try:
        (scores,) = classifier.probabilities([item]).tolist()
    except EmptyData:
        return None
    order = sorted(zip(scores, classifier.labels, strict=True), key=lambda one: -one[0])
    return {"given": given, "answer": {label: round(score, 4) for score, label in order[:MOST]}}


def _text(classifier: "Classifier", block: config.ModelSettings) -> tuple[str, str]:
    """The text that the card names, else the name of a label."""
    text = block.card.example or classifier.labels[0]
    return text, text


def _image(classifier: "Classifier", block: config.ModelSettings) -> tuple[list[int], bytes]:
    """A grey image of the size that the model reads: width, height."""
    from PIL import Image

    from luodi.data import image

    encoder: Any = classifier.encoder
    size = [encoder.width, encoder.height]
    return size, image.png(Image.new("L", (encoder.width, encoder.height), GREY))


ASKED: dict[str, Callable[["Classifier", config.ModelSettings], tuple[Any, Any]]] = {"text": _text, "image": _image}
