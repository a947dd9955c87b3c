"""A model in use: what it is asked beside what it was trained on, and how often it is right."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luodi.cli.arguments import JsonOption, LangOption, ModelArgument, Reference, language
from luodi.system.progress import Heartbeat

if TYPE_CHECKING:
    from luodi.config import Monitor
    from luodi.monitoring.watch import Found

app = typer.Typer()
ROWS = 100  # worth a label


def _moment(text: str) -> datetime:
    from luodi.monitoring import watch

    try:
        return watch.since(text)
    except ValueError:
        raise typer.BadParameter(f"expected 7d, 12h, or a date or time such as 2026-11-28, found {text!r}") from None


@app.command(
    epilog="Examples: luodi monitor reviews --log /srv/log | luodi monitor reviews --log s3://bucket/log --since 7d | "
    "luodi monitor reviews --labels true.csv --json"
)
def monitor(
    model: ModelArgument,
    *,
    url: Annotated[
        str | None,
        typer.Option("--log", metavar="DIR|URL", help="The request log; of params.yaml (monitor.log) if left out."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=_moment,
            metavar="7d|DATE",
            help="Nothing asked before, in UTC; of params.yaml (monitor.days) if left out, else all.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="True labels: columns request, item and label; a path or URL."),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=0, max=10_000, help="Rows worth a label, at most; 100.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Where the page and the rows go; artifacts/MODEL/monitor if left out."
        ),
    ] = None,
    act: Annotated[
        bool, typer.Option("--act", help="Roll back, promote or end a canary, where proven, as params.yaml allows.")
    ] = False,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether what a model in use is asked drifted from what it was trained on, and how often it is right.

    It reads what `luodi serve --log` wrote, and writes a page, and rows worth a label: worth.csv for `luodi ingest`,
    worth.json for Label Studio. It ends with 7 where something is to be looked at.
    """
    from dataclasses import replace

    from luodi import config
    from luodi.cli import console, documents
    from luodi.errors import Alarmed
    from luodi.monitoring import truths, watch
    from luodi.project.origin import Origin
    from luodi.project.paths import PARAMS, ModelPaths, find_root
    from luodi.system.processes import Runner

    root = find_root()
    settings = config.settings_of(config.load(root / PARAMS), model)
    block = settings.monitor
    if url is None and block is None:
        raise typer.BadParameter(
            f"name the request log, or set monitor.log of {model} in params.yaml", param_hint="--log"
        )
    if since is None and block is not None:
        since = datetime.now(UTC) - timedelta(days=block.days)
    table = labels or (block and block.labels)
    most = rows if rows is not None else block.rows if block else ROWS
    known = truths.fetched(table) if table else truths.Truths()
    looked = watch.Watch(Origin.find(root), model, settings, Runner(print), counted=act)
    with Heartbeat("reading what was asked", sys.stderr):
        found = looked.look(url or (block.log if block else ""), since, known, most)
    folder = to or ModelPaths(root, model).artifacts / "monitor"
    spoken = language(root, lang)
    report = watch.write(folder, found, settings, spoken)
    if act and block and (done := _do(found, block)):
        found = replace(found, done=done)
        watch.write(folder, found, settings, spoken)
    if as_json:
        documents.print_json({**found.as_json(), "report": str(report)})
    else:
        console.show_monitor(found, report)
    if found.alarms:
        raise Alarmed(f"{model} in use is to be looked at: {found.alarms[0]}; see {report}")


def _do(found: "Found", block: "Monitor") -> list[str]:
    """Do what is proven to be due and allowed; return what was done."""
    from luodi.cli import landing

    allowed = {"rollback": block.rollback, "promote": block.canary, "revert": block.canary}
    for step in found.steps:
        if allowed[step.action]:
            model, _, number = step.version.partition("@")
            if step.action == "revert":
                if step.version != found.canary:
                    continue  # an option of a server made it one: whoever runs that is told
                ended = landing.end_canary(model, f"luodi monitor: {step.reason}")
                return [f"revert: {ended.name} is the canary no longer"]
            landed, _ = landing.move(Reference(model, number), step.action, f"luodi monitor: {step.reason}")
            return [f"{step.action}: {landed.name} is in production"]  # what else was found was of another production
    return []
