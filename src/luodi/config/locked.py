"""params.lock: every setting in effect, written from params.yaml and the defaults, in git, and what DVC compares.

DVC sees a setting only where it stands in a file: a default stands in none. So the stage `settings` of dvc.yaml writes
them all down, and the other stages depend on what stands there. A default that changes reruns what reads it.
"""

from pathlib import Path
from typing import Any

from luodi import yaml12
from luodi.config import user_code
from luodi.config.loading import Params, load, settings_of
from luodi.errors import StaleProject
from luodi.files import write_text

NAME = "params.lock"
HEAD = "# Every setting in effect, written from params.yaml by `luodi settings` and `dvc repro`. Commit it.\n"


def effective(root: Path, params: Params) -> dict[str, Any]:
    """Return what params.lock holds: {"models": {name: every setting}}, as JSON has them.

    Behind the name of code of a user's own stands its digest, see `user_code`.

    Raises:
        ParamsError: There is no such code.
    """
    return {"models": {name: user_code.effective(block, root) for name, block in params.models.items()}}


def text(root: Path, params: Params) -> str:
    """Return the content of params.lock. Raises as `effective` does."""
    return HEAD + yaml12.dump(effective(root, params))


def write(root: Path) -> None:
    """Write params.lock unless it holds the settings in effect already. Raises as `load` does."""
    if not current(root):
        write_text(root / NAME, text(root, load(root / "params.yaml")))


def current(root: Path) -> bool:
    """Whether params.lock holds all settings in effect. Raises as `load` does."""
    path = root / NAME
    return path.exists() and path.read_bytes() == text(root, load(root / "params.yaml")).encode()


def require_current(root: Path, params: Params, model: str) -> None:
    """Raise StaleProject unless params.lock holds the settings of `model` in effect: DVC would record others."""
    settings_of(params, model)
    expected = yaml12.parse(text(root, params), strict=False)["models"][model]
    if _held(root / NAME, model) != expected:
        raise StaleProject(
            f"{NAME} does not hold the settings of {model} that params.yaml and the defaults give: run `dvc repro`, or "
            "`luodi settings` alone, to write it again"
        )


def _held(path: Path, model: str) -> Any:
    try:
        found = yaml12.parse(yaml12.read(path, yaml12.LARGEST * 16), strict=False)
    except yaml12.Unfit:
        return None
    models = found.get("models") if isinstance(found, dict) else None
    return models.get(model) if isinstance(models, dict) else None
