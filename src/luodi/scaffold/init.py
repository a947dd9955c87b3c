"""A new project: params.yaml, dvc.yaml, the lock files, the DAGs, and git and DVC made ready."""

from pathlib import Path

from luodi.config import locked
from luodi.errors import LuodiError
from luodi.files import write_text
from luodi.project import fingerprints, workspace
from luodi.scaffold.pipeline import TEMPLATES
from luodi.system.processes import Runner

FILES = {
    "params.yaml": "params.yaml",
    "dvc.yaml": "pipeline.yaml",
    "dags/retrain.py": "retrain.py",
}
"""From the path in a project to the template."""
COMMON = {".gitignore": "gitignore", ".gitattributes": "gitattributes", ".dvc/config": "dvc_config"}
"""Likewise, of what a repository may have before it is a project."""


def init(root: Path, runner: Runner) -> None:
    """Make a project without a model in `root`, an empty folder or none yet, or a git repository without one.

    Of what the repository has already, .gitignore gets the lines that it lacks; the others stay as they are.

    Raises:
        LuodiError: A file of a project lies there already; none is changed then.
    """
    if there := [name for name in (*FILES, locked.NAME, fingerprints.NAME) if (root / name).exists()]:
        raise LuodiError(
            f"{root} holds {', '.join(there)} already: choose another folder; `luodi upgrade` brings a project to this "
            "luodi"
        )
    root.mkdir(parents=True, exist_ok=True)
    if not (root / ".git").exists():
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
    workspace.own_site(root)


def _joined(text: str, more: str) -> str:
    """Return `text` and, below it, the lines of `more` that it lacks."""
    there = text.splitlines()
    missing = [line for line in more.splitlines() if line not in there]
    return "\n".join([*there, *missing, ""])
