"""What training tells of every epoch."""

COLUMNS = ("epoch", "loss", "accuracy", "recall", "val_loss", "val_accuracy", "val_recall")


def as_csv(history: list[dict[str, float]]) -> str:
    """The rows of `training.fit` as CSV, a line an epoch."""
    lines = [",".join([str(row["epoch"]), *(f"{row[column]:.6f}" for column in COLUMNS[1:])]) for row in history]
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"
