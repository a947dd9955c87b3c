"""A registered version, ready to classify."""

from luodi.project.origin import Origin
from luodi.registry import tags
from luodi.registry.tags import Version
from luodi.scoring import sample
from luodi.scoring.inference import Classifier
from luodi.system.processes import Runner


def load(origin: Origin, model: str, number: str, runner: Runner) -> tuple[Classifier, Version]:
    """Return a version that predicts as it did when it was registered, and which one it is.

    Raises:
        NoVersion: There is none.
        RegistryError: Its files are not those that were registered.
    """
    version = tags.find(tags.mirror(origin, runner), model, number)
    found = tags.fetch(origin, version, runner)
    classifier = Classifier.load(found / "export")
    sample.check(found / "sample.json", classifier, version.name)
    return classifier, version
