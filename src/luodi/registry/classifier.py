"""A registered version, ready to classify: from the registry, or from the folder that `luodi pull` made of it."""

import math
import sys
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from luodi.data import modality
from luodi.errors import NoVersion, RegistryError
from luodi.files import folder_checksum, read_json
from luodi.project.origin import Origin
from luodi.registry import tags
from luodi.registry.tag_objects import NUMBER
from luodi.report.formatting import at
from luodi.scoring import sample
from luodi.scoring.inference import Classifier
from luodi.system.processes import Runner
from luodi.terminal import shown

FACTS = "version.json"
"""In a pulled folder: which version it is, and all that its tag says."""
KERAS, EXAMPLE = "model.keras", "example.py"
BESIDE = (FACTS, "card.html", "card.md", "comparison.html", KERAS, EXAMPLE)
"""What a pulled folder holds beside the exported model."""
OF_HUBS = ("README.md", ".gitattributes")
"""What a repository holds that was made of it."""


@dataclass(frozen=True)
class Registered(Classifier):
    """A version with scikit-learn's habits, thread-safe.

    Attributes:
        version: Such as "reviews@v1.0.0".
        labels: In the order of the columns of `predict_proba`.
        column: Of the tables that it was made from, what it reads; None is one of a usual name.
        digest: Of its files, as its tag says.
        folder: Where these are.
    """

    version: str
    column: str | None = None
    digest: str = ""
    folder: Path = Path()

    @classmethod
    def open(cls, folder: Path, version: str, facts: Mapping[str, Any], threads: int) -> Self:
        """Return the version in a folder, of which the tag says `facts`; `threads` as of `Classifier.load`."""
        column, digest = at(facts, "params", "column"), str(at(facts, "export") or "")
        known = column if isinstance(column, str) else None
        classifier = Classifier.load(folder, threads)
        return cls(classifier.encoder, classifier.session, version, known, digest, folder.resolve())

    def __reduce__(self) -> tuple[Any, ...]:
        """What joblib, multiprocessing and copy take for it: where it is, to be opened there once more.

        The bytes of a model travel by `luodi pull`, which proves them.
        """
        threads = self.session.get_session_options().intra_op_num_threads
        return _again, (self.folder, self.version, self.column, self.digest, threads)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's displays and pipelines ask for: that it is a classifier, of a list of items."""
        kinds = sys.modules["sklearn.utils"]  # of who asks: what is served needs none
        takes = kinds.InputTags(one_d_array=True, two_d_array=False)
        what = kinds.ClassifierTags()
        return kinds.Tags("classifier", kinds.TargetTags(required=False), classifier_tags=what, input_tags=takes)

    def __repr__(self) -> str:
        return (
            f"<{self.version}: {self.encoder.modality} classifier of {len(self.labels)} labels>"  # not of what it knows
        )

    @property
    def classes_(self) -> NDArray[np.object_]:
        """`labels` as scikit-learn's metrics and displays ask for them: str [classes]."""
        return np.array(self.labels, dtype=object)

    def score(self, items: Iterable[Any], labels: Iterable[Any]) -> float:
        """Return the accuracy on `items` of these true labels, 0 to 1; NaN of none.

        Raises:
            TypeError: A label is not a str, such as the number 1 where the label is "1". Others as of `predict_proba`.
            ValueError: There are not as many labels as items.
        """
        truth = list(getattr(labels, "to_pylist", lambda: labels)())
        if odd := [one for one in truth if not isinstance(one, str)]:
            raise TypeError(
                f"expected labels as str, such as {self.labels[0]!r}, found {_kind(odd[0])}: write map(str, it)"
            )
        found = self.predict(items)
        if len(found) != len(truth):
            raise ValueError(f"expected a label for each of {len(found):,} items, found {len(truth):,}")
        return float(np.mean(found == np.array(truth, dtype=object))) if truth else math.nan

    def predict_proba(self, items: Iterable[Any]) -> NDArray[np.float32]:
        """Return the probability of each label: float32 [n, classes], rows sum to 1.

        Args:
            items: A list, tuple, array, pandas Series or Arrow array. Texts as str. Images as bytes of a file, paths,
                or as uint8 pixels [height, width] or [height, width, 3].

        Raises:
            TypeError: An item is not of that kind; or it is a whole table, which would give the names of its columns.
            Unfit: An image cannot be used.
            Nothing: A text holds nothing to classify: it is empty, or tags and blanks alone.
        """
        return self.probabilities(self._as_read(items))

    def predict(self, items: Iterable[Any]) -> NDArray[np.object_]:
        """Return the likeliest label of each item: str [n]; arguments and errors as of `predict_proba`."""
        found: NDArray[np.object_] = np.array(self.labels, dtype=object)[self.predict_proba(items).argmax(axis=1)]
        return found

    def _as_read(self, items: Iterable[Any]) -> list[Any]:
        if isinstance(items, str | bytes | Path):
            raise TypeError(f"expected a list of {self.encoder.modality}s, found one: write [it] instead")
        if isinstance(items, Mapping | Set) or hasattr(items, "columns"):  # they give their names, or no order
            raise TypeError(
                f"expected a list of {self.encoder.modality}s, or one column of a table, found a "
                f"{type(items).__name__}: write it[{self.column or self.encoder.modality!r}], or list(it)"
            )
        read, found = modality.of(self.encoder.modality).item, list[Any]()
        for place, one in enumerate(getattr(items, "to_pylist", lambda: items)()):  # Arrow's items are its own scalars
            try:
                found.append(read(one))
            except TypeError as error:
                raise TypeError(f"item {place} is {_kind(one)}: {error}") from None
        return found


def _kind(one: Any) -> str:
    if isinstance(one, np.ndarray):
        return f"an array of {one.dtype} {list(one.shape)}"
    return f"{type(one).__name__} {shown(repr(one), 60)}"


def load(origin: Origin, model: str, number: str, runner: Runner, threads: int = 1) -> Registered:
    """Return a version that predicts as it did when it was registered; `threads` as of `Classifier.load`.

    Raises:
        NoVersion: There is none.
        RegistryError: Its files are not those that were registered.
    """
    version = tags.find(tags.mirror(origin, runner), model, number)
    found = tags.fetch(origin, version, runner)
    classifier = Registered.open(found / "export", version.name, version.facts, threads)
    sample.check(found / "sample.json", classifier, version.name)
    return classifier


def pulled(folder: Path, threads: int = 1) -> Registered:
    """Return the version that `luodi pull` brought into a folder; it needs no project, git or DVC.

    `threads` as of `Classifier.load`.

    Raises:
        NoVersion: No pull made the folder.
        RegistryError: Its files are not those that were registered.
    """
    facts = pulled_facts(folder)
    if not facts:
        raise NoVersion(f"{shown(folder)} holds no pulled model: `luodi pull MODEL {shown(folder)}` brings one there")
    if facts.get("export") != folder_checksum(folder, without=(*BESIDE, *OF_HUBS)):
        raise RegistryError(
            f"the files in {shown(folder)} are not those that were registered as {facts['version']}: one was changed, "
            f"removed or added; `luodi pull {facts['version']} {shown(folder)}` brings them again"
        )
    return Registered.open(folder, facts["version"], facts, threads)


def _again(folder: Path, version: str, column: str | None, digest: str, threads: int) -> Registered:
    """Return a version that this, or another, process opened before."""
    if not folder.is_dir() or folder_checksum(folder, without=(*BESIDE, *OF_HUBS)) != digest:
        raise RegistryError(
            f"{shown(folder)} does not hold {version} as it was opened before: where it is to go to other machines, "
            f"`luodi pull {version} DIR` brings it there, and luodi.load(DIR) opens it"
        )
    return Registered.open(folder, version, {"params": {"column": column}, "export": digest}, threads)


def pulled_facts(folder: Path) -> dict[str, Any] | None:
    """Return what a pulled folder says of its version; None if no pull made it."""
    try:
        facts = read_json(folder / FACTS)
    except (OSError, ValueError):
        return None
    model, _, number = str(facts.get("version") if isinstance(facts, dict) else "").partition("@")
    return facts if model and NUMBER.fullmatch(number) else None
