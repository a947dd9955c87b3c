"""The graph that dvc.yaml owns, read as plain values: Airflow's edges come from here, so there is one graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luodi import yaml12
from luodi.errors import ParamsError
from luodi.project.paths import PARAMS
from luodi.terminal import shown

KEYS = ("deps", "params", "outs", "metrics", "plots")


def stages(path: Path, model: str, modality: str) -> dict[str, dict[str, list[str]]]:
    """Return stage -> {"deps": paths, "outs": paths, "params": FILE:KEY} of one model, in the order of dvc.yaml.

    What stands there once for all models, such as `settings`, is left out.

    Raises:
        ParamsError: dvc.yaml is missing, not YAML, or not a graph of stages for each model.
    """
    values = {"${key}": model, "${item.modality}": modality}
    bodies = {stage: body for stage, body in _read(path).items() if not (isinstance(body, dict) and "cmd" in body)}
    return {stage: _fill(path, stage, body, values) for stage, body in bodies.items()}


def has(path: Path, stage: str) -> bool:
    """Whether a stage stands in dvc.yaml. Raises ParamsError as `stages` does."""
    return stage in _read(path)


def plots(path: Path, model: str) -> list[str]:
    """Return the titles of the plots in dvc.yaml that show files of this model and of no other.

    Raises:
        ParamsError: As `stages` does.
    """
    own = f"artifacts/{model}/"
    found = [item for item in _document(path).get("plots") or () if isinstance(item, dict)]
    return [
        str(title)
        for item in found
        for title, body in item.items()
        if isinstance(body, dict) and isinstance(lines := body.get("y"), dict) and lines
        if all(str(file).startswith(own) for file in lines)
    ]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = _document(path)["stages"]
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        raw = yaml12.parse(yaml12.committed(path))
    except yaml12.Unfit as error:
        raise ParamsError(f"{path} {error}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("stages"), dict) or not raw["stages"]:
        raise ParamsError(
            f"{path}: expected a mapping `stages:`, found none; restore it with `git checkout HEAD -- {path.name}`"
        )
    return raw


def edges(graph: Mapping[str, Mapping[str, list[str]]]) -> set[tuple[str, str]]:
    """Return (upstream, downstream) for every stage that reads what another writes."""
    return {
        (before, after)
        for before, written in graph.items()
        for after, read in graph.items()
        if set(written["outs"]) & set(read["deps"])
    }


def _fill(path: Path, stage: str, body: Any, values: Mapping[str, str]) -> dict[str, list[str]]:
    where = f"{path}: stages.{shown(stage, 100)}"
    if not isinstance(body, dict) or not isinstance(do := body.get("do"), dict):
        raise ParamsError(f"{where}: expected `foreach: ${{models}}` and a mapping `do:`, found {shown(body, 100)}")
    found = {
        key: [_filled(f"{where}.do.{key}", one, values) for item in _items(where, do, key) for one in _keys(key, item)]
        for key in KEYS
    }
    outs = [*found["outs"], *found["metrics"], *found["plots"]]
    return {"deps": found["deps"], "params": found["params"], "outs": outs}


def _items(where: str, do: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(items := do.get(key, []), list):
        raise ParamsError(f"{where}.do.{key}: expected a list, found {shown(items, 100)}")
    return items


def _keys(kind: str, item: Any) -> list[Any]:
    """The keys of an item of `params:`, which stand below the name of their file unless that is params.yaml."""
    if kind != "params" or not isinstance(item, dict):
        return [f"{PARAMS}:{item}" if kind == "params" and isinstance(item, str) else item]
    return [f"{file}:{key}" for file, keys in item.items() for key in (keys if isinstance(keys, list) else [keys])]


def _filled(where: str, item: Any, values: Mapping[str, str]) -> str:
    """An item with its placeholders filled in; of one with settings (`path: {cache: false}`) the path."""
    text = next(iter(item)) if isinstance(item, dict) and len(item) == 1 else item
    if not isinstance(text, str):
        raise ParamsError(f"{where}: expected a text, found {shown(item, 100)}")
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    if "${" in text:
        raise ParamsError(f"{where}: cannot fill in {shown(text, 100)}: expected no other than {', '.join(values)}")
    return text
