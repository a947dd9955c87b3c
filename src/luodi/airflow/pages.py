"""Pages of a run, for who has to judge it: its reports, and how its model compares with the champion.

Airflow's api-server serves them at `/luodi/DAG/RUN/PAGE` to users who may read the DAG.
"""

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from luodi.airflow import dag_ids
from luodi.airflow.trigger import NOTHING_NEW
from luodi.config import Language
from luodi.errors import LuodiError
from luodi.files import replacing
from luodi.project import locks, workspace
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.report.formatting import part, text
from luodi.report.page import Identity, headed, joined
from luodi.system.processes import Runner

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from luodi.registry import changed_answers


PREFIX = "/luodi"
STAGES = {"validation": "validate", "preprocess": "preprocess", "evaluation": "evaluate"}
"""Page -> the stage whose report it is."""

TASKS = {**STAGES, "comparison": "gate"}
"""Page -> the task that must have ended."""

# A page shows what came with the data: whatever that may be, it runs nothing and loads nothing.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}

# Airflow's setting turns off the page of its main API alone; the others load scripts and styles from other hosts.
FOREIGN = tuple(f"/{part}/{page}" for part in ("auth", "execution") for page in ("docs", "redoc"))

_one_at_a_time = threading.Lock()  # a clone costs the api-server processes and seconds
WAIT = 60  # seconds that a request waits for its turn


class NoPage(LuodiError):
    """There is no such page, or none yet."""


class Busy(LuodiError):
    """The page has to be brought, and others are being brought."""


def link(dag_id: str, run_id: str, page: str, lang: str = "en") -> str:
    """Return the URL of a page; without a host if Airflow was not told its own."""
    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}{PREFIX}/{quote(dag_id, safe='')}/{quote(run_id, safe='')}/{_asked(page, lang)}"


def _asked(page: str, lang: str) -> str:
    return page if lang == "en" else f"{page}?lang={lang}"


def app() -> "FastAPI":
    """Return the application that Airflow mounts at `PREFIX`."""
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import HTMLResponse

    application = FastAPI(title="Pages of a run", openapi_url=None)

    @application.get("/{dag_id}/{run_id}/{page}", dependencies=[Depends(requires_access_dag("GET"))])
    def show(dag_id: str, run_id: str, page: str, lang: Language = "en") -> HTMLResponse:
        try:
            return HTMLResponse(content(dag_id, run_id, page, lang), headers=HEADERS)
        except NoPage as error:
            raise HTTPException(404, str(error)) from None
        except LuodiError as error:  # the git origin or the DVC remote, as a rule
            raise HTTPException(503, str(error)) from None

    return application


class WithoutForeign:
    """Answers for the pages `FOREIGN` that there are none; all else goes on to `app`."""

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.responses import PlainTextResponse

        found: ASGIApp = self.app
        if scope["type"] == "http" and scope["path"].endswith(FOREIGN):
            found = PlainTextResponse("This page is off: it loads scripts from other hosts.\n", 404)
        await found(scope, receive, send)


def content(dag_id: str, run_id: str, page: str, lang: str = "en") -> str:
    """Return the HTML of a page in a language.

    Raises:
        NoPage: There is no such page or run, or its task has not run yet.
        Busy: Other pages are being brought for too long.
        RemoteError: The git origin or the DVC remote cannot be used.
    """
    if page not in TASKS:
        raise NoPage(f"no page {page}: there are {', '.join(TASKS)}")
    result = returned(dag_id, run_id, TASKS[page])
    if not result or NOTHING_NEW in result:
        raise NoPage(f"no page {page} of run {run_id} of {dag_id}: its task {TASKS[page]} has not ended well yet")
    model, project = dag_ids.model(dag_id, "retrain"), dag_ids.project(dag_id)
    if page == "comparison":
        landed = bool((returned(dag_id, run_id, "register") or {}).get("version"))
        made = returned(dag_id, run_id, "preprocess") or {}
        found = _comparison(project, model, result["decision"], made, landed=landed)
    else:
        found = report(Origin.from_environment(project), model, page, result).read_text(encoding="utf-8")
        judged = returned(dag_id, run_id, "gate") if page in ("evaluation", "validation") else None
        if judged and page == "evaluation":
            found = _judged(found, model, judged)
        elif judged and "decision" in judged:
            made = returned(dag_id, run_id, "preprocess") or {}
            found = _doubted(found, project, model, judged["decision"], made)
    judged = returned(dag_id, run_id, TASKS["comparison"]) if lang != "en" else None
    names = frozenset(map(text, part(judged, "decision", "metrics", "classes")))
    identity = Identity(model, f"run {run_id}", f"of {dag_id}", result["commit"], lang=lang, names=names)
    return headed(found, identity, [(_asked(name, lang), name.capitalize()) for name in TASKS], _asked(page, lang))


def _judged(html: str, model: str, result: Mapping[str, Any]) -> str:
    """The page of the evaluation, with what the gate said, and what changed of each class, if it has."""
    from luodi.registry import acting, gate_sections

    if "decision" not in result:
        return html
    decision = result["decision"]
    judged = gate_sections.judged(decision, acting.todo(model, decision, "airflow"))
    return joined(html, gate_sections.since(decision), judged)


def _comparison(project: str, model: str, decision: Mapping[str, Any], made: Mapping[str, Any], *, landed: bool) -> str:
    """The page of a decision, with its rows, of which `made` is what preprocess returned; without, if they are away."""
    from luodi.registry import acting, card

    todo = "" if landed else acting.todo(model, decision, "airflow")
    return card.comparison(model, decision, _rows(project, model, decision, made), todo=todo, landed=landed)


def _doubted(html: str, project: str, model: str, decision: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """The page of validation, with the labels that other rows contradict."""
    from luodi.registry import doubts

    found = doubts.section(model, decision, _rows(project, model, decision, made))
    return joined(html, [found]) if found else html


def _rows(project: str, model: str, decision: Mapping[str, Any], made: Mapping[str, Any]) -> "changed_answers.Rows":
    from luodi.registry import changed_answers

    if "entries" in made and changed_answers.named(decision):
        path = ModelPaths(Path(), model).rows
        try:
            origin = Origin.from_environment(project)
            return changed_answers.read(bring(origin, model, path, "preprocess", made), decision)
        except LuodiError as error:
            logging.getLogger(__name__).warning("a page of %s is shown without rows: %s", model, error)
    return {}


def returned(dag_id: str, run_id: str, task: str) -> Mapping[str, Any] | None:
    """Return what a task of a run returned; None if it did not, or if there is no such run."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(run_id=run_id, key="return_value", task_ids=task, dag_ids=dag_id, limit=1)
        found = session.scalars(query).first()
        return XComModel.deserialize_value(found) if found else None


def report(origin: Origin, model: str, page: str, result: Mapping[str, Any]) -> Path:
    """Return the report of a stage that returned `result`: see `bring`."""
    return bring(origin, model, getattr(ModelPaths(Path(), model), f"{page}_report"), STAGES[page], result)


def bring(origin: Origin, model: str, output: Path, stage: str, result: Mapping[str, Any]) -> Path:
    """Return an output of a stage that returned `result`, brought from the DVC remote once, kept under its hash.

    Raises:
        Busy: Other files are being brought for too long.
        RemoteError: The git origin or the DVC remote cannot be used.
    """
    path = output.as_posix()
    checksum = locks.outputs(result["entries"], f"{stage}@{model}")[path]
    kept = origin.home / "pages" / f"{checksum}{output.suffix}"
    if kept.exists():
        return kept
    with _turn({stage: page for page, stage in STAGES.items()}[stage]):
        if not kept.exists():  # whoever had the turn before may have brought this very page
            runner = Runner(logging.getLogger(__name__).info)
            with workspace.clone(origin, result["commit"], runner) as clone:  # in which what is made is private
                locks.write(clone.lock, {**locks.read(clone.lock), **result["entries"]})
                clone.pull(path)
                with replacing(kept) as temporary:
                    shutil.copyfile(clone.root / path, temporary)
    return kept


@contextmanager
def _turn(page: str) -> Iterator[None]:
    if not _one_at_a_time.acquire(timeout=WAIT):
        raise Busy(
            f"the page {page} is not there yet, and others have been on their way for {WAIT} seconds: load it again in "
            "a minute; if that does not help, the git origin or the DVC remote hangs"
        )
    try:
        yield
    finally:
        _one_at_a_time.release()
