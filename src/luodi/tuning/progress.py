"""Where the search of a model stands, read from its study while others write there."""

from typing import Any

from luodi.config import ModelSettings, Tune
from luodi.errors import ArtifactError
from luodi.project.paths import ModelPaths
from luodi.tuning import goals, space, study


def of(settings: ModelSettings, paths: ModelPaths) -> dict[str, Any]:
    """Return the study, its metrics, the best slot so far, the Pareto front, and what there is to know of each trial.

    Raises:
        ArtifactError: validate has not run, or no search of these rows and settings has begun.
        LuodiError: The database of studies cannot be opened.
    """
    tune = settings.tune or Tune()
    where, wanted = study.place(paths.root), goals.of(settings, tune)
    name = study.name(settings, paths, tune, space.of(settings, tune))
    try:
        with study.told(where):
            found = study.known(where, name)
    except KeyError:
        raise ArtifactError(
            f"no search by these rows, settings and code of {paths.model} has begun: `luodi tune run {paths.model}` "
            "begins one"
        ) from None
    ended = study.ended(found)
    going = {one.user_attrs[study.SLOT]: one for one in study.running(found)}
    return {
        "study": name,
        "storage": where.shown,
        "metrics": list(wanted.names),
        "best": study.winner(ended, wanted) if ended else None,
        "front": list(study.front(ended, wanted)) if wanted.several else [],
        "asked": tune.trials,
        "trials": [
            study.facts(slot, one, wanted)
            | {"seconds": round(one.duration.total_seconds(), 1) if one.duration else None}
            for slot, one in sorted({**going, **ended}.items())
        ],
    }
