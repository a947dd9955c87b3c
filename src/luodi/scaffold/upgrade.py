"""Take a project to the luodi that runs: dvc.yaml and the lock files are written again, and what will rerun is told."""

import difflib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luodi import config, yaml12
from luodi.config import locked, user_code
from luodi.errors import LuodiError, StaleProject
from luodi.files import write_text
from luodi.project import fingerprints, graph
from luodi.project.paths import PARAMS
from luodi.scaffold import pipeline
from luodi.system.processes import CommandFailed, Runner

GRAPH = "dvc.yaml"
COPY = Path("src", "luodi")  # where a project that was a copy of luodi has luodi's source


@dataclass(frozen=True)
class Upgrade:
    """What changed.

    Attributes:
        diff: Of dvc.yaml, as lines of a unified diff; none if it stays.
        removed: Folders of luodi's own source that a project no longer needs.
        reruns: From STAGE@MODEL to why it will run again.
    """

    diff: list[str]
    removed: list[Path]
    reruns: dict[str, str]


def upgrade(root: Path) -> Upgrade:
    """Write dvc.yaml, params.lock and luodi.lock for the luodi that runs; what a user wrote there stays.

    Raises:
        ParamsError: params.yaml or dvc.yaml cannot be used; nothing is changed then.
        LuodiError: Likewise where a copy of luodi's source, which would go, is in no commit.
    """
    params = config.load(root / PARAMS)
    path, before = root / GRAPH, pipeline.read(root)
    code = {file for block in params.models.values() for file in user_code.files(block, root)}
    after = pipeline.updated(before, params.models, sorted(code), pipeline.asked(params.models.values()))
    after = pipeline.without_lost(after, root)
    stages, settings = _held(root), _settings(root)
    removed = [root / COPY] if _is_copy(root) else []
    if removed:
        _require_committed(root)
    write_text(path, after)
    locked.write(root)
    fingerprints.write(root)
    for folder in removed:
        shutil.rmtree(folder)
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), GRAPH, GRAPH, lineterm="")
    return Upgrade(list(diff), removed, _reruns(root, params, stages, settings))


def _is_copy(root: Path) -> bool:
    """Whether luodi's source lies in the project, and is not what runs: that would be luodi's own repository."""
    folder = (root / COPY).resolve()
    return (folder / "__init__.py").exists() and folder != fingerprints.PACKAGE


def _require_committed(root: Path) -> None:
    """Raise LuodiError if git could not bring back the copy of luodi's source as it is."""
    try:
        changed = Runner(print).run("git", "status", "--porcelain", "--", str(COPY), cwd=root)
    except CommandFailed:
        changed = "?"
    if changed:
        raise LuodiError(
            f"{root / COPY} is not the luodi that runs, and a project needs no copy of it, but this one is not as "
            "committed: commit it, and `luodi upgrade` removes it; to work on luodi itself, run the one that lies there"
        )


def _held(root: Path) -> Mapping[str, Any]:
    try:
        stages: Mapping[str, Any] = fingerprints.read(root)["stages"]
    except StaleProject:
        return {}
    return stages


def _settings(root: Path) -> Mapping[str, Any]:
    try:
        found = yaml12.parse((root / locked.NAME).read_text(encoding="utf-8"), strict=False)
    except (FileNotFoundError, yaml12.Unfit):
        return {}
    return found if isinstance(found, dict) else {}


def _reruns(root: Path, params: config.Params, code: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """Which stages run again: those whose code, libraries or settings changed, and those that read what they write."""
    running, found = fingerprints.everything()["stages"], dict[str, str]()
    fresh = locked.effective(root, params)
    for model, block in params.models.items():
        stages = graph.stages(root / GRAPH, model, block.modality)
        edges, why = graph.edges(stages), dict[str, str]()
        for stage, body in stages.items():  # in the order of the graph
            held = code.get(block.modality, {}).get(stage)
            keys = [key.removeprefix(f"{locked.NAME}:") for key in body["params"] if key.startswith(f"{locked.NAME}:")]
            if held != running[block.modality][stage]:
                why[stage] = fingerprints.differences(held, running[block.modality][stage])
            elif changed := [key for key in keys if _at(settings, key) != _at(fresh, key)]:
                why[stage] = f"{', '.join(changed)} changed"
            elif first := next((one for one, after in sorted(edges) if after == stage and one in why), None):
                why[stage] = f"if what {first} writes changes"
        found |= {f"{stage}@{model}": reason for stage, reason in why.items()}
    return found


def _at(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values
