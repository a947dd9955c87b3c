"""What a modality supplies to validation: the modules `measures` and `expectations` of `luodi.checks.MODALITY`."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.checks.profile import Chart
from luodi.checks.quarantine import Checked
from luodi.config import user_code
from luodi.terminal import shown


class Measures(Protocol):
    """The functions of `luodi.checks.text.measures` and `luodi.checks.image.measures`."""

    ITEM: str
    """What a row holds: its column, and the word for it in reasons."""
    SHOWN: str
    """The measured column that shows an item in words."""
    WHOLE: bool
    """Whether all rows are read at once: images may be larger than memory together."""

    def measure(self, parts: Iterable[pa.Table], settings: Any) -> Checked:
        """Measure and mark all rows; `parts` are some rows each."""

    def alike(self, checked: Checked) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        """Return what ties rows that are nearly alike: `alike` and `links` of `luodi.data.groups.join`."""

    def charts(self, measured: pa.Table) -> tuple[Chart, ...]:
        """Return the histograms that the page shows."""

    def facts(self, checked: Checked) -> dict[str, Any]:
        """Return what else the page says of all rows."""

    def pictures(
        self, parts: Iterable[pa.Table], places: set[tuple[str, int]], settings: Any
    ) -> dict[tuple[str, int], str]:
        """Return a picture (data URI) of the rows at `places` (shard and row) that need one beside words."""


def measures(name: str) -> Measures:
    """Return the measures of the modality of that name; only its module is imported."""
    module: Any = import_module(f"luodi.checks.{name}.measures")
    return module  # type: ignore[no-any-return]  # _known holds both modules to the protocol


def expectations(settings: Any, root: Path) -> list[Any]:
    """Return the expectations of a model, a user's own last; imports Great Expectations, which takes seconds.

    Args:
        settings: Of the model.
        root: Of the project, where the files lie that settings name.

    Raises:
        UserCodeFailed: A user's own fail, or are none.
        ParamsError: A suite of a user's own is not there, or is none.
    """
    built: list[Any] = import_module(f"luodi.checks.{settings.modality}.expectations").build(settings)
    for name in settings.validate_.expectations:
        own = user_code.suite(name, root) if user_code.is_suite(name) else None
        with user_code.running(name):
            built += _called(name, settings) if own is None else _of_suite(own)
    return built


def _called(name: str, settings: Any) -> list[Any]:
    from great_expectations.expectations.expectation import Expectation

    own = user_code.load(name)(settings)
    if not (isinstance(own, list | tuple) and all(isinstance(one, Expectation) for one in own)):
        raise TypeError(f"expected a list of Great Expectations' expectations, found {shown(repr(own), 60)}")
    return list(own)


def _of_suite(own: list[dict[str, Any]]) -> list[Any]:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return [ExpectationConfiguration(**one).to_domain_obj() for one in own]


if TYPE_CHECKING:
    from luodi.checks.image import measures as image
    from luodi.checks.text import measures as text

    _known: tuple[Measures, ...] = (text, image)
