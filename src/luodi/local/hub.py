"""What the Hugging Face Hub reads at the top of a model card."""

from dataclasses import dataclass

from luodi.registry.tags import Version
from luodi.report.formatting import at, known, part, text


@dataclass(frozen=True)
class Kind:
    """What other tools call a modality, and what one item of it is to them."""

    task: str
    given: str
    type: str


KINDS = {
    "text": Kind("text-classification", '"a text"', "string"),
    "image": Kind("image-classification", "image.png", "binary"),
}
HUB = {"accuracy": "accuracy", "macro_f1": "f1"}
"""Metrics that the Hub has, by luodi's names."""


def metadata(version: Version) -> str:
    """Return the block of metadata of a card, YAML: the task, and what the model scored on its test rows.

    It names no licence: that of the data, which the card names, is none of the model.
    """
    from huggingface_hub import EvalResult, ModelCardData

    kind = KINDS.get(text(at(version.facts, "params", "modality")))
    scores = part(version.facts, "metrics", "model")
    results = [
        EvalResult(
            task_type=kind.task if kind else "other", dataset_type=version.model, dataset_name=version.model,
            dataset_split="test", metric_type=theirs, metric_name=name, metric_value=found,
        )
        for name, theirs in HUB.items() if known(found := at(scores, name, "value"))
    ]  # fmt: skip
    block = ModelCardData(
        model_name=version.name, library_name="onnx", pipeline_tag=kind.task if kind else None, tags=["luodi"],
        eval_results=results, metrics=list(HUB.values()),
    )  # fmt: skip
    return str(block.to_yaml())
