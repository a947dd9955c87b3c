"""A new project: params.yaml, dvc.yaml, the lock files, the DAGs, and git and DVC made ready."""

from pathlib import Path

from luodi.config import locked
from luodi.errors import LuodiError
from luodi.files import write_text
from luodi.project import dvc_settings, fingerprints
from luodi.scaffold.pipeline import TEMPLATES
from luodi.system.processes import CommandFailed, Runner

FILES = {
    "params.yaml": "params.yaml",
    "dvc.yaml": "pipeline.yaml",
    "dags/retrain.py": "retrain.py",
}
"""From the path in a project to the template."""
COMMON = {".gitignore": "gitignore", ".gitattributes": "gitattributes", ".dvc/config": "dvc_config"}
"""Likewise, of what a repository may have before it is a project."""


def init(root: Path, runner: Runner) -> list[str]:
    """Make a project without a model in `root`, an empty folder or none yet, or a git repository without one.

    Of what the repository has already, .gitignore gets the lines that it lacks; the others stay as they are.

    Returns:
        What a person is to know, a line each.

    Raises:
        LuodiError: A file of a project lies there already, or files of a repository above it; none is changed then.
    """
    if there := [name for name in (*FILES, locked.NAME, fingerprints.NAME) if (root / name).exists()]:
        raise LuodiError(
            f"{root} holds {', '.join(there)} already: choose another folder; `luodi upgrade` brings a project to this "
            "luodi"
        )
    root.mkdir(parents=True, exist_ok=True)
    notes = []
    if not (root / ".git").exists():
        notes = _within(root, runner)
        runner.run("git", "init", "--quiet", "-b", "main", str(root), cwd=root)
    for name, template in (FILES | COMMON).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        if not (root / name).exists():
            write_text(root / name, text)
        elif name == ".gitignore":
            write_text(root / name, _joined((root / name).read_text(encoding="utf-8"), text))
    locked.write(root)
    fingerprints.write(root)
    dvc_settings.own_site(root)
    return notes


def _within(root: Path, runner: Runner) -> list[str]:
    """Say that there is a git repository around `root`, unless that ignores it. Raises LuodiError if it tracks it."""
    try:
        above = runner.run("git", "rev-parse", "--show-toplevel", cwd=root).strip()
        tracked = runner.run("git", "ls-files", "--", ".", cwd=root)
    except CommandFailed:
        return []  # there is none
    if tracked:
        raise LuodiError(
            f"{root} holds files of the git repository {above}: a project is a repository of its own, for its "
            "versions are tags; choose another folder, or the top of that repository"
        )
    try:
        runner.run("git", "check-ignore", "--quiet", ".", cwd=root)
    except CommandFailed:
        return [f"it is a git repository of its own inside {above}: add it to .gitignore there, or as a submodule"]
    return []


def _joined(text: str, more: str) -> str:
    """Return `text` and, below it, the lines of `more` that it lacks."""
    there = text.splitlines()
    missing = [line for line in more.splitlines() if line not in there]
    return "\n".join([*there, *missing, ""])
