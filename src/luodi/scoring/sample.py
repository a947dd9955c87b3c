"""Some inputs and what a model says of them, kept with each version: it is proven again before it takes over.

Other processors round otherwise, by less than 1e-4 of a probability where weights have 32 bits. Where they have 8 it
may be more: where a value lies between two steps, the last bit decides which it is taken for. So each version
keeps a tolerance of its own: twice what its answers differed by when the sample was written, together and one by one,
and computed as the graph stands and as ONNX Runtime rebuilds it, which is what another processor would do to it.
"""

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.errors import RegistryError
from luodi.files import read_facts, write_facts
from luodi.scoring.inference import Classifier

ROWS = 32
DIGITS = 4  # of the probabilities kept: other processors round the rest differently
TOLERANCE = 10.0**-DIGITS


def write(path: Path, classifier: Classifier, items: list[Any], plain: Classifier | None = None) -> None:
    """Write up to `ROWS` texts or images, spread over `items`, and the probabilities that `classifier` gives them.

    JSON: "texts" or, in base64, "images"; "probabilities" [rows][classes]; "tolerance" of these, where it is not the
    usual one. Parquet would import pandas for a second.

    Args:
        plain: The same model, loaded with `plain`.
    """
    chosen = [items[place] for place in np.linspace(0, len(items) - 1, min(ROWS, len(items))).astype(int)]
    exact = classifier.probabilities(chosen).astype(np.float64)
    given, tolerance = exact.round(DIGITS), _tolerance(exact, classifier, plain, chosen)
    if isinstance(chosen[0], bytes):
        kept: dict[str, Any] = {"images": [base64.b64encode(image).decode() for image in chosen]}
    else:
        kept = {"texts": chosen}
    write_facts(path, kept | {"probabilities": given.tolist()} | tolerance)


def _tolerance(given: NDArray[np.float64], classifier: Classifier, plain: Classifier | None, items: list[Any]) -> Any:
    others = [np.concatenate([classifier.probabilities([item]) for item in items])]
    others += [plain.probabilities(items)] if plain else []
    most = 2 * max(float(np.abs(other - given).max()) for other in others)
    return {"tolerance": round(math.ceil(most / TOLERANCE) * TOLERANCE, DIGITS)} if most > TOLERANCE else {}


def check(path: Path, classifier: Classifier, name: str) -> int:
    """Let the classifier of version `name` predict the sample again; return its number of rows.

    Raises:
        RegistryError: The sample cannot be read, or an answer is not what it was.
    """
    try:
        kept = read_facts(path)
        items = kept["texts"] if "texts" in kept else [base64.b64decode(image) for image in kept["images"]]
        expected = np.array(kept["probabilities"], np.float64)
        tolerance = float(kept.get("tolerance", TOLERANCE))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"the sample of {name} cannot be read ({error!r}): its files were changed; "
            f"remove {path.parent}, and run it again"
        ) from None
    given = classifier.probabilities(items)
    if expected.shape != given.shape or not np.allclose(given, expected, rtol=0, atol=tolerance):
        raise RegistryError(
            f"{name} does not predict its sample as it did when it was registered: expected equal probabilities on "
            f"{len(items)} rows; its files, or ONNX Runtime, have changed: remove {path.parent} and run it again, or "
            "install the requirements that it was registered with"
        )
    return len(items)
