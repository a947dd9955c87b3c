"""Tables for people at a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from luodi import registry
from luodi.nets.catalogue import Architecture
from luodi.registry import Move, Version
from luodi.report.words import FIGURES


def show_result(result: Mapping[str, Any], reports: Path) -> None:
    """Print what a run ended with: metrics, verdict, version, reports."""
    show_metrics(result["metrics"])
    table = Table(show_header=False, box=None)
    table.add_row("verdict", result["verdict"])
    for reason in result["reasons"]:
        table.add_row("", reason)
    table.add_row("version", result["version"] or "none")
    table.add_row("one row", f"{result['latency_ms']:.2f} ms on this machine")
    for report in sorted(reports.iterdir()):
        table.add_row("report", near(report))
    _print(table)


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the model's metrics with their intervals beside the baseline's; of one class there is no ROC AUC."""
    table = Table(title=f"{metrics['rows']:,} test rows")
    for column, justify in (("metric", "left"), ("model", "right"), ("linear baseline", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for key, (name, _, _) in FIGURES.items():
        if key in metrics["model"] and key in metrics["baseline"]:
            table.add_row(name, _interval(metrics["model"][key]), _interval(metrics["baseline"][key]))
    _print(table)


def show_versions(versions: Mapping[str, Sequence[Version]]) -> None:
    """Print registered versions, model -> newest first, one a row."""
    table = Table()
    for column in ("version", "stage", "metric", "baseline", "data", "params that differ", "registered"):
        table.add_column(column)
    for known in versions.values():
        for version, before in zip(known, [*known[1:], None], strict=True):
            table.add_row(
                version.name,
                version.stage or "",
                *_measured(version.facts),
                _data(version.facts),
                _differences(before, version),
                f"{version.registered:%Y-%m-%d %H:%M} {version.author}",
            )
    _print(table)


def show_version(version: Version, moves: Sequence[Move], folder: Path) -> None:
    """Print all that is known of a version; `folder` holds its cards."""
    facts = version.facts
    if "metrics" in facts:
        show_metrics(facts["metrics"])
    table = Table(show_header=False, box=None)
    table.add_row("version", f"{version.name} {version.stage or ''}")
    table.add_row("registered", f"{version.registered:%Y-%m-%d %H:%M} by {version.author}")
    for name, value in _lineage(version).items():
        table.add_row(name, value)
    for name, value in registry.flat(facts.get("params", {})).items():
        table.add_row(f"params {name}", str(value))
    for move in moves:
        if move.number == version.number:
            table.add_row("to production", f"{move.at:%Y-%m-%d %H:%M} by {move.by} {_moved(move)}")
    for page in sorted(folder.iterdir()):
        table.add_row("page", near(page))
    _print(table)


def show_decision(decision: Mapping[str, Any], report: Path | None = None) -> None:
    """Print what the gate said: every rule, and the challenger beside the champion."""
    table = Table(title=f"against {decision['champion'] or 'no version: the first'}")
    for column in ("rule", "expected", "found", ""):
        table.add_column(column)
    for check in decision["checks"]:
        table.add_row(check["name"], check["expected"], check["found"], "passed" if check["passed"] else "broken")
    _print(table)
    if comparison := decision["comparison"]:
        table = Table(title=f"{comparison['rows']:,} test rows that neither was trained on")
        for column in ("metric", "challenger", "champion", "difference"):
            table.add_column(column)
        for key, figures in comparison["metrics"].items():
            table.add_row(
                FIGURES[key][0], *(_interval(figures[who]) for who in ("challenger", "champion", "difference"))
            )
        _print(table)
    print("\n  ".join([f"verdict: {decision['verdict']}", *decision["reasons"]]))
    if report:
        print(f"report: {near(report)}")


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


def _measured(facts: Mapping[str, Any]) -> tuple[str, str]:
    """The deciding metric of a version and of its baseline."""
    if "metrics" not in facts:
        return "", ""
    metric = facts.get("params", {}).get("gate", {}).get("metric", "accuracy")
    figures = facts["metrics"]
    return f"{metric} {_interval(figures['model'][metric])}", f"{figures['baseline'][metric]['value']:.4f}"


def _data(facts: Mapping[str, Any]) -> str:
    data = facts.get("data", {})
    return f"{data['rows']:,} rows {data['hash'][:8]}" if data else ""


def _differences(before: Version | None, after: Version) -> str:
    if before is None or not (before.facts.get("params") and after.facts.get("params")):
        return ""
    return "\n".join(registry.differences(before.facts["params"], after.facts["params"]))


def _lineage(version: Version) -> dict[str, str]:
    """What a version came from, and who let it land, as lines of text."""
    facts = version.facts
    data, environment = facts.get("data", {}), facts.get("environment", {})
    decision, approval = facts.get("decision", {}), facts.get("approval", {})
    human = (
        f" at {approval['at']} by {approval['by']}: {approval['comment']}" if approval.get("mode") == "human" else ""
    )
    lines = {
        "code": facts.get("commit"),
        "lock entries": version.commit,
        "model": facts.get("export"),
        "data": data and f"{data['hash']}, {data['rows']:,} rows, of {data['dated']}",
        "requirements": environment and f"{environment['requirements']}, Python {environment['python']}",
        "verdict": decision and f"{decision['verdict']}, against {decision['champion'] or 'no version'}",
        "approval": approval and f"{approval['mode']}{human}",
        "one row": facts.get("latency_ms") and f"{facts['latency_ms']:.2f} ms where it was judged",
    }
    return {name: value or "not recorded" for name, value in lines.items()}


def _moved(move: Move) -> str:
    words = (
        move.facts.get("action"),
        move.facts.get("from") and f"from {move.facts['from']}",
        move.facts.get("reason"),
    )
    return ", ".join(filter(None, words))


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


def _console(width: int | None = None) -> Console:
    """A console that shows text as it stands: reasons, comments and names are people's own, never markup."""
    return Console(width=width, markup=False, emoji=False, highlight=False)


def _print(table: Table) -> None:
    console = _console()
    if console.is_terminal:
        console.print(table)
        return
    wide = _console(width=500)  # piped output has no 80 columns: what is searched in it stays whole
    with wide.capture() as captured:
        wide.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
