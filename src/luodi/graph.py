"""The graph that dvc.yaml owns, read as plain values: Airflow's edges come from here, so there is one graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def stages(path: Path, model: str, modality: str) -> dict[str, dict[str, list[str]]]:
    """Return stage -> {"deps": paths, "outs": paths, "params": keys} of one model, in the order of dvc.yaml."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    values = {"${key}": model, "${item.modality}": modality}
    return {stage: _fill(body["do"], values) for stage, body in raw.items()}


def edges(graph: Mapping[str, Mapping[str, list[str]]]) -> set[tuple[str, str]]:
    """Return (upstream, downstream) for every stage that reads what another writes."""
    return {
        (before, after)
        for before, written in graph.items()
        for after, read in graph.items()
        if set(written["outs"]) & set(read["deps"])
    }


def _fill(body: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, list[str]]:
    outs = [*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])]
    parts = {"deps": body.get("deps", []), "params": body.get("params", []), "outs": outs}
    return {name: [_replace(item, values) for item in items] for name, items in parts.items()}


def _replace(text: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text
