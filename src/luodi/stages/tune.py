"""tune: search the settings that the block `tune` names; what is found stands over params.yaml from here on."""

from typing import Any

from luodi import config
from luodi.files import write_facts, write_text
from luodi.project.paths import ModelPaths
from luodi.report import page
from luodi.tuning import best, charts


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Write best_params.yaml, the facts of the search and its page; of a model without the block that there is none.

    Raises:
        ArtifactError: validate has not run.
        WrongValue: There is nothing to search.
        LuodiError: See `luodi.tuning.search.run`.
    """
    facts: dict[str, Any] = {"trials": [], "values": {}, "says": "off: the model has no block tune"}
    if settings.tune:
        from luodi.tuning import search  # here, not above: Optuna takes a second to start

        facts = search.run(settings, paths, settings.tune)
    best.write(paths, facts["values"])
    write_facts(paths.study, facts)
    drawn = charts.charts(facts) if facts["trials"] else None
    write_text(paths.tuning_report, page.render("tuning", model=paths.model, facts=facts, charts=drawn))
