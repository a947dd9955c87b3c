"""Which of several classifiers is exported: what the validation rows say of each. Pages name it without NumPy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from luodi.report.formatting import at, count, number, part, text
from luodi.scoring.metrics import beside, described

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINEAR, NET, BOTH, PRETRAINED, TUNED = "linear", "net", "both", "pretrained", "tuned"
NAMES = {LINEAR: "the linear model", NET: "the network", BOTH: "the mean of the linear model and the network",
         PRETRAINED: "the pretrained encoder", TUNED: "the fine-tuned encoder"}  # fmt: skip
NAMED = 3  # classes
TUNING = {"lora": "by LoRA", "full": "whole"}


def figures(
    scores: "Mapping[str, NDArray[np.float32]]", truth: "NDArray[np.int32]", metric: str
) -> dict[str, dict[str, float]]:
    """Return the figures of each classifier by its scores on the validation rows, float32 [rows, classes].

    Args:
        scores: By the name of the classifier.
        truth: True classes.
        metric: That of the gate, which may be a user's own: it is one of the figures.

    Raises:
        ArtifactError: The scores of one are no probabilities of these rows.
        UserCodeFailed: The metric is a user's own, and fails.
    """
    from luodi.scoring.figures import point, rounded
    from luodi.scoring.scored import scored

    known = beside(metric)
    return {name: rounded(point(scored(truth, found, name, found.shape[-1]), known)) for name, found in scores.items()}


def choose(candidates: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """Return the name of the classifier with the highest `metric`.

    Of equal ones the linear model, for another has to be proven not worse than it before it lands; else that of least
    loss, then the first.
    """

    def merits(name: str) -> tuple[float, bool, float]:
        return candidates[name].get(metric, -1.0), name == LINEAR, -candidates[name]["log_loss"]

    return max(candidates, key=merits)


def sentence(choice: Mapping[str, Any]) -> str:
    """Return what was chosen and why in words; `choice` is the content of choice.json, whatever wrote it."""
    found, metric = choice.get("validation"), str(choice.get("metric", ""))
    values = found if isinstance(found, Mapping) else {}
    told = [f"{name} {values[name][metric]:.4f}" for name in NAMES if metric in (values.get(name) or ())]
    chosen = NAMES.get(str(choice.get("chosen")), "not known") + _of_encoder(choice)
    if len(told) > 1:
        return f"{chosen}; {described(metric).title.lower()} on validation rows: {', '.join(told)}"
    return chosen + _unjudged(part(choice, "unjudged"))


def _unjudged(classes: Mapping[str, Any]) -> str:
    """Why nothing but the linear model was fitted; empty where it is not known of a class."""
    if not classes:
        return ""
    fewest = sorted(classes, key=lambda label: (classes[label], label))
    named = ", ".join(f"{label} ({classes[label]})" for label in fewest[:NAMED])
    others = f" and of {len(fewest) - NAMED} more classes" if len(fewest) > NAMED else ""
    return f": too few test rows of {named}{others} to judge a network by; train.out_of_fold: always takes all rows"


def _of_encoder(choice: Mapping[str, Any]) -> str:
    """What is known of the encoder that was chosen; empty where it is none."""
    if choice.get("chosen") not in (PRETRAINED, TUNED) or not (encoder := part(choice, "encoder")):
        return ""
    size = number(at(encoder, "size_bytes"), "{:.1f} MB", 1e-6)
    weights, given = count(at(encoder, "weights")), count(at(encoder, "trained"))
    licence, md5 = (text(at(encoder, name)) for name in ("licence", "md5"))
    if choice["chosen"] == TUNED:
        trained, weights = f", {TUNING.get(str(encoder.get('tuning')))}, {given} weights trained", f"{weights} weights"
    else:
        trained, weights = f" under a linear model of {given} trained weights", f"{weights} weights as they came"
    known = f"{text(at(encoder, 'family'))}, {weights}, {size}"
    return f" {text(at(encoder, 'name'))}{trained} ({known}, licence: {licence}, MD5 {md5})"
