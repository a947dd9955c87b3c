"""Tables for people at a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from luodi.nets.catalogue import Architecture
from luodi.registry import Version

METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC",
    "log_loss": "log-loss",
    "calibration_error": "calibration error",
}


def show_result(result: Mapping[str, Any], reports: Path | None) -> None:
    """Print what a run ended with: metrics, verdict, version, reports."""
    show_metrics(result["metrics"])
    table = Table(show_header=False, box=None)
    table.add_row("verdict", result["verdict"])
    for reason in result["reasons"]:
        table.add_row("", reason)
    table.add_row("version", result["version"] or "none")
    table.add_row("one row", f"{result['latency_ms']:.2f} ms on this machine")
    for report in sorted(reports.iterdir()) if reports else []:
        table.add_row("report", near(report))
    _print(table)


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the model's metrics with their intervals beside the baseline's."""
    table = Table(title=f"{metrics['rows']:,} test rows")
    for column, justify in (("metric", "left"), ("model", "right"), ("linear baseline", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for key, name in METRICS.items():
        table.add_row(name, _interval(metrics["model"][key]), _interval(metrics["baseline"][key]))
    _print(table)


def show_versions(versions: Sequence[Version]) -> None:
    """Print registered versions, one a row."""
    table = Table()
    for column in ("version", "stage", "accuracy", "baseline", "test rows", "registered", "by"):
        table.add_column(column)
    for version in versions:
        metrics = version.facts.get("metrics")
        table.add_row(
            version.name,
            version.stage or "",
            *(_interval(metrics[of]["accuracy"]) if metrics else "" for of in ("model", "baseline")),
            f"{metrics['rows']:,}" if metrics else "",
            f"{version.registered:%Y-%m-%d %H:%M}",
            version.author,
        )
    _print(table)


def show_architectures(architectures: Sequence[Architecture]) -> None:
    """Print the networks that `train.architecture` may name, one a row."""
    table = Table()
    for column in ("name", "modality", "parameters", "description"):
        table.add_column(column)
    for one in architectures:
        table.add_row(one.name, one.modality, ", ".join(one.parameters), one.description)
    _print(table)


def near(path: Path) -> str:
    """The path as a person would type it here: relative if it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


def _print(table: Table) -> None:
    # Piped output is not a terminal of 80 columns: paths and figures stay whole.
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
