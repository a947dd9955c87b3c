"""The folder `.luodi/reports`: the pages of each version and of the last runs that landed nothing, and their index."""

import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luodi.errors import ArtifactError
from luodi.files import read_facts, write_facts, write_text
from luodi.project.origin import Origin
from luodi.registry import history, tags
from luodi.registry.history import Entry
from luodi.report import language, page
from luodi.report.formatting import at, part
from luodi.report.page import Identity
from luodi.scoring.metrics import described
from luodi.system.processes import Runner

KEPT = 20  # runs of a model that landed nothing
NEWEST = 200  # versions of a model in the index
RUN = "run.json"  # what the gate decided of a run that landed nothing, and when
INDEX = "index.html"
NAMES = {
    "card.html": "Card",
    "comparison.html": "Comparison",
    "evaluation.html": "Evaluation",
    "mistakes.csv": "All mistakes (CSV)",
    "training.html": "Training",
    "preprocess.html": "Preprocessing",
    "validation.html": "Validation",
}


def head(folder: Path, identity: Identity, above: str = "", only: Collection[str] = ()) -> None:
    """Say on each page of a folder, or `only` on some, whose it is, and link it to the others and the index."""
    beside = [(name, title) for name, title in NAMES.items() if (folder / name).exists()]
    links = [*beside, *([(above, "All versions")] if above else [])]
    for name, _ in beside:
        if name.endswith(".html") and (not only or name in only):
            text = (folder / name).read_text(encoding="utf-8")
            write_text(folder / name, page.headed(text, identity, links, name))


def put(folder: Path, decision: dict[str, Any], when: datetime, stopped: str = "") -> None:
    """Note of a run that landed nothing what the gate decided, or what `stopped` it before, for the index."""
    why = {"stopped": stopped} if stopped else {"decision": decision}
    write_facts(folder / RUN, {"when": when.isoformat(timespec="seconds"), **why})


def tidy(folder: Path) -> None:
    """Remove the oldest runs of a model that landed nothing, and what an older luodi left beside them."""
    for path in [*sorted(_runs(folder))[:-KEPT], *(path for path in folder.glob("*.*") if path.is_file())]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def newest(origin: Origin, model: str) -> Path | None:
    """Return the folder of the last run here that landed nothing, if there is one."""
    return max(_runs(origin.home / "reports" / model), default=None)


def index(origin: Origin, runner: Runner, lang: str = "en") -> Path:
    """Write the index of the pages that are here, of every model with its versions and runs; return its path."""
    repository, home = tags.mirror(origin, runner), origin.home / "reports"
    held = {path.name for path in home.iterdir() if path.is_dir() and any(_runs(path))} if home.is_dir() else set()
    models = [_model(home, repository, model) for model in sorted({*tags.models(repository), *held})]
    html = page.render("index", models=models, kept=KEPT)
    write_text(home / INDEX, language.translated(html, lang, frozenset(one["name"] for one in models)))
    return home / INDEX


def _model(home: Path, repository: Path, model: str) -> dict[str, Any]:
    moves = tags.moves(repository, model)
    found = [
        *(history.of_version(one, moves, _link(home, one.name)) for one in tags.versions(repository, model, NEWEST)),
        *_held(home, model),
    ]
    metric = history.decides(found)
    return {
        "name": model,
        "table": history.table(found, metric),
        "plot": history.plot(found, metric),
        "metric": described(metric).title,
    }


def _held(home: Path, model: str) -> Iterator[Entry]:
    for folder in _runs(home / model):
        try:
            facts = read_facts(folder / RUN)
            when = datetime.fromisoformat(str(at(facts, "when"))).astimezone(UTC)
        except (ArtifactError, ValueError):
            continue  # of another luodi, or half gone
        link = _link(home, f"{model}/{folder.name}")
        why = at(facts, "stopped")
        yield history.of_stopped(why, when, link) if why else history.of_run(part(facts, "decision"), when, link)


def _runs(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob(f"*/{RUN}")]


def _link(home: Path, name: str) -> str:
    """The first page of a folder below the reports; nothing where it is not here."""
    return next((f"{name}/{one}" for one in NAMES if (home / name / one).exists()), "")
