"""The page of training says which epoch was kept, why it stopped, and what a person may want to change."""

from collections.abc import Sequence
from typing import Any

import pytest

from luodi.nets import history
from luodi.registry import training_page

CHOICE = {"metric": "accuracy", "validation": {"linear": {"accuracy": 0.851}, "net": {"accuracy": 0.846}}}


SPENT = {"seconds": 19.5, "cpu_seconds": 36.0, "joules": None, "device": "cpu", "epochs": 3, "rows_per_second": 7123}


def told(*epochs: Sequence[float], allowed: int = 30, choice: Any = None) -> str:
    """The page of epochs of loss, accuracy, validation loss and accuracy."""
    rows = [
        {"epoch": number, "loss": one[0], "accuracy": one[1], "recall": 0.5,
         "val_loss": one[2], "val_accuracy": one[3], "val_recall": 0.5}
        for number, one in enumerate(epochs, 1)
    ]  # fmt: skip
    found = training_page.html("reviews", history.as_csv(rows), {"epochs": allowed}, choice or {}, SPENT)
    assert found
    return found


def test_epochs_after_the_best_are_told_to_be_learned_by_heart() -> None:
    html = told((0.55, 0.78, 0.42, 0.82), (0.16, 0.9, 0.35, 0.85), (0.03, 0.99, 0.38, 0.84))
    assert (
        "<b>Epoch 2 of 3 is kept.</b> It stopped since the validation loss had not fallen for 1 epoch (train.patience)."
        in html
    )
    assert "learned its train rows by heart: their loss fell to 0.0300" in html and 'class="verdict good"' in html


@pytest.mark.parametrize(
    ("epochs", "choice", "warning"),
    [
        ([(0.5, 0.7, 0.5, 0.7), (0.4, 0.8, 0.4, 0.8)], {}, "still falling in the last epoch"),
        ([(0.1, 0.99, 0.4, 0.8), (0.09, 0.99, 0.5, 0.8)], {}, "much better than others"),
        ([(0.4, 0.8, 0.4, 0.8), (0.4, 0.8, 0.5, 0.8)], CHOICE, "the linear model is better: accuracy 0.8510"),
    ],
)
def test_what_may_be_changed_is_a_warning(epochs: list[Sequence[float]], choice: object, warning: str) -> None:
    html = told(*epochs, allowed=2, choice=choice)
    assert warning in html and 'class="verdict warn"' in html
    assert "It ran all 2 epochs that train.epochs allows." in html


def test_what_training_cost_is_told_with_the_method() -> None:
    html = told((0.5, 0.7, 0.5, 0.7))
    assert "7,123" in html and "19.5 s" in html
    assert "estimated, for no counter of energy could be read: 10 W for each core while it was busy" in html
    assert "0.1 Wh" in html, "36 s at 10 W"


@pytest.mark.parametrize("text", [history.as_csv([]), "epoch,loss\n1,0.5\n", ""])
def test_where_no_network_was_trained_there_is_no_page(text: str) -> None:
    assert training_page.html("reviews", text, {}, {}, {}) is None
