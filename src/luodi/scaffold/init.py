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
    ".gitignore": "gitignore",
    ".dvc/config": "dvc_config",
}
"""From the path in a project to the template."""


def init(root: Path, runner: Runner) -> None:
    """Make a project without a model in `root`, an empty folder or none yet, or a git repository without one.

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
    for name, template in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(root / name, (TEMPLATES / template).read_text(encoding="utf-8"))
    locked.write(root)
    fingerprints.write(root)
    workspace.own_site(root)
