"""luodi (落地): retrain classifiers on a schedule, land a new version only when it is proven better."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from luodi.registry.classifier import Registered as Classifier

__all__ = ["__version__", "load"]
__version__ = "0.2.0"

# ONNX Runtime tells its maker how it is used, and keeps an id of the user in the home folder, unless this is set before
# it is imported: by luodi, by a library that luodi imports, or by a process that luodi starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def load(name: "str | Path") -> "Classifier":
    """Return a registered version, ready to classify: `luodi.load("reviews").predict(["质量很好"])`.

    Args:
        name: A model, of which the version in production is loaded, MODEL@VERSION, or the folder that `luodi pull`
            made, as a Path or with a slash in it. The project is that of the working directory, the registry that of
            the project or of LUODI_GIT_URL; a folder needs neither, nor git nor DVC.

    Raises:
        LuodiError: There is no such version, or its files are not those that were registered.
    """
    from pathlib import Path

    from luodi.registry import classifier

    if isinstance(name, Path) or "/" in name:
        return classifier.pulled(Path(name))
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry.tags import PRODUCTION
    from luodi.system.processes import Runner

    model, _, number = name.partition("@")
    return classifier.load(Origin.find(find_root()), model, number or PRODUCTION, Runner(lambda line: None))
