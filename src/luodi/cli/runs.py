"""Runs on this machine: Airflow once, Airflow standing, and DVC's settings for `dvc repro`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from luodi.cli.arguments import JsonOption, LangOption, ModelArgument, known_model, language
from luodi.cli.landing import refuse
from luodi.system import progress
from luodi.system.progress import Heartbeat

if TYPE_CHECKING:
    from luodi.project.origin import Origin
    from luodi.system.processes import Runner

app = typer.Typer()

RESULT = ("verdict", "version", "reasons", "metrics", "latency_ms")
"""What `luodi run --json` tells of a run, beside where its reports are."""


@app.command(
    epilog="Examples: luodi run reviews | luodi run reviews --json | luodi run reviews --again | luodi run reviews "
    "--rows 1000 | luodi run reviews --lang zh"
)
def run(
    model: ModelArgument,
    *,
    again: Annotated[bool, typer.Option("--again", help="Run though no row, setting or code is new.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge the model, and land nothing.")] = False,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Try the graph on at most so many of the clean rows; nothing lands.")
    ] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the DAG retrain_MODEL on Airflow with an embedded git origin and DVC remote, both in .luodi/.

    Where nothing is new since a model was judged last, landed or held, nothing runs.
    """
    from luodi.cli import console, documents
    from luodi.local import delivery, embedded, shelf, standalone
    from luodi.project.paths import find_root
    from luodi.registry.records import Verdict
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    known_model(root, model)
    if not (dry_run or rows):
        embedded.require_own_versions(root, [model])
    spoken = language(root, lang)
    progress.tell("preparing the embedded git origin and DVC remote")
    with Heartbeat("preparing them"):
        origin, commit = embedded.bring(root, runner)
        seeded = embedded.seeded(root, origin)

    def ready() -> str:
        embedded.seed(root, origin, commit, runner)
        return embedded.advance(origin, commit, runner)

    asked = {name: value for name, value in {"dry_run": dry_run, "rows": rows}.items() if value}
    known = None
    if seeded and not again and not asked:
        known = embedded.nothing_new(origin, ready(), model, runner)
    if known:
        progress.tell(known.said if known.version else f"{known.said}; `luodi run {model} --again` judges it once more")
        version = embedded.find(origin, known.version, runner)
        verdict = Verdict.UNCHANGED if version else known.verdict
        result = {**(version.facts if version else {}), "verdict": verdict, "version": known.version, "reasons": []}
    else:
        log = standalone.new_log(origin, model)
        progress.tell(f"running retrain_{model} on Airflow (log: {console.near(log)})")
        with _page_kept(origin, model, runner, spoken):
            result = dict(standalone.run_dag(root, origin, ready, model, log, **asked))
        version = embedded.find(origin, result["version"], runner)
    with Heartbeat("bringing the reports"):
        if known and not version:
            folder = shelf.newest(origin, model)
        elif version:
            folder = delivery.reports(origin, version, runner, spoken)
        else:
            folder = delivery.last_reports(origin, model, result, runner, spoken)
        index = shelf.index(origin, runner, spoken)
    if as_json:
        found = {name: result.get(name) for name in RESULT}
        documents.print_json(found | {"reports": sorted(folder.iterdir()) if folder else [], "index": index})
    elif folder and (version or not known):
        console.show_result(result, folder, index)
    if not version and not rows:  # so few prove little, and were not to
        refuse(model, result["verdict"])


@contextmanager
def _page_kept(origin: "Origin", model: str, runner: "Runner", lang: str) -> Iterator[None]:
    """Keep the page of a run that validation stops, and say where it is."""
    from luodi.cli import console
    from luodi.errors import StageFailed
    from luodi.local import delivery, shelf

    begun = time.time()
    try:
        yield
    except StageFailed as error:
        if folder := delivery.stopped(origin, model, begun, runner, lang):
            index = shelf.index(origin, runner, lang)
            error.args += (f"its page is kept: {console.near(folder / 'validation.html')}", f"index: {index}")
        raise


@app.command(epilog="Example: luodi connect && dvc repro")
def connect() -> None:
    """Point DVC in this checkout to the embedded cache and remote in .luodi/, unless it has settings of its own."""
    from luodi.local import checkout
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root

    root = find_root()
    checkout.connect(root, Origin.embedded(root))


@app.command(epilog="Examples: luodi sync | luodi sync reviews && git add dvc.lock && git commit -m 'Land reviews'")
def sync(model: Annotated[str | None, typer.Argument(help="A model; without one, all of params.yaml.")] = None) -> None:
    """Bring what is in production into this checkout: entries of dvc.lock, files of all stages, tags of versions."""
    from luodi import config
    from luodi.errors import NoVersion
    from luodi.local import arrived, checkout
    from luodi.project.origin import Origin
    from luodi.project.paths import PARAMS, find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    params, origin = config.load(root / PARAMS), Origin.find(root)
    if model:
        config.settings_of(params, model)
    names = [model] if model else list(params.models)
    mirror = tags.mirror(origin, runner)
    found = [version for name in names if (version := tags.in_production(tags.versions(mirror, name, newest=0)))]
    if not found:
        first = next(iter(names), "MODEL")
        raise NoVersion(
            f"no version of {', '.join(names) or 'any model'} is in production: `luodi run {first}` lands one"
        )
    if origin == Origin.embedded(root):
        checkout.connect(root, origin)
    for version in found:
        with Heartbeat(f"bringing {version.name}"):
            paths = checkout.sync(root, origin, version, params.models[version.model].modality, runner)
        print(f"{version.name}: in dvc.lock, with its tags and {len(paths)} outputs in artifacts/", flush=True)
    if (root / ".git").exists() and runner.run("git", "status", "--porcelain", "--", "dvc.lock", cwd=root):
        landed = ", ".join(version.model for version in found)
        print(f"next: `git add dvc.lock && git commit -m 'Land {landed}'`; DVC compares with what is committed")
    if origin == Origin.embedded(root) and (came := arrived.bring(root, origin, runner)):
        print(f"{len(came):,} files of rows that came in, in data/: `git commit -m 'Take in rows' data.dvc`")


@app.command(epilog="Example: luodi up")
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Airflow's pages on this machine.")] = 8080,
) -> None:
    """Start Airflow standalone with the DAGs loaded and their schedules on; print its URL and login."""
    from luodi import config
    from luodi.local import embedded, standalone
    from luodi.project.paths import PARAMS, find_root
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    known = config.load(root / PARAMS).models  # Airflow would come up without a DAG
    embedded.require_own_versions(root, known)
    with Heartbeat("preparing the embedded git origin and DVC remote"):
        origin, commit = embedded.prepare(root, runner)
        embedded.advance(origin, commit, runner)
    standalone.stand(root, origin, port)


@app.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },  # --help behind it is Airflow's
    epilog="Examples: luodi airflow dags list | luodi airflow tasks test retrain_reviews validate",
)
def airflow(command: Annotated[list[str], typer.Argument(help="As behind `airflow`.")]) -> None:
    """Run Airflow's own command line on this project's DAGs, database and origin."""
    from luodi.local import standalone
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root

    root = find_root()
    raise typer.Exit(standalone.command(root, Origin.find(root), command))
