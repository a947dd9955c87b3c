"""Where the search of a model stands, read from its study while others write there."""

from typing import Any

from luodi.config import ModelSettings, Tune
from luodi.errors import ArtifactError
from luodi.project.paths import ModelPaths
from luodi.scoring.metrics import beside
from luodi.tuning import space, study


def of(settings: ModelSettings, paths: ModelPaths) -> dict[str, Any]:
    """Return the study, its metric, the best slot so far, and each trial with its state, value, epochs and seconds.

    Raises:
        ArtifactError: validate has not run, or no search of these rows and settings has begun.
        LuodiError: The database of studies cannot be opened.
    """
    tune = settings.tune or Tune()
    where, metric = study.place(paths.root), study.metric_of(settings, tune)
    name = study.name(settings, paths, tune, space.of(settings, tune))
    try:
        found = study.known(where, name)
    except KeyError:
        raise ArtifactError(
            f"no search by these rows, settings and code of {paths.model} has begun: `luodi tune {paths.model}` begins "
            "one"
        ) from None
    ended = study.ended(found)
    going = {one.user_attrs[study.SLOT]: one for one in study.running(found)}
    return {
        "study": name,
        "storage": where.shown,
        "metric": metric,
        "best": study.winner(ended, beside(metric)[metric].better) if ended else None,
        "asked": tune.trials,
        "trials": [
            study.facts(slot, one) | {"seconds": round(one.duration.total_seconds(), 1) if one.duration else None}
            for slot, one in sorted({**going, **ended}.items())
        ],
    }
