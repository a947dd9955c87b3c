"""`ingest_MODEL`: files that lie in an inbox are taken in, each once, and put aside, soon after they are there."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, AssetWatcher
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from luodi.airflow import notifying
from luodi.airflow.dag_ids import of_project
from luodi.airflow.operators import Job, WorkspaceOperator
from luodi.airflow.stores import Store
from luodi.config.operations import Ingest
from luodi.errors import RemoteError
from luodi.terminal import shown

if TYPE_CHECKING:
    from airflow.sdk import Context

TASK = "ingest"
DONE, REFUSED = "done", "refused"
"""Folders of the inbox: of files that were taken in, and of those that cannot be, each beside a text that says why."""
SETTLED = 30  # seconds since a file was written last: a younger one may not be whole
EVERY = 20.0  # seconds from one look of the triggerer to the next
HALF = (".part", ".tmp", ".crdownload", "~")
DRIFT = "drift"


def rows_of(model: str, project: str = "") -> Asset:
    """Return the asset that changes where rows came that are a reason to retrain."""
    own = of_project(model, project)
    return Asset(name=f"{own}_rows", uri=f"luodi://rows/{own}", group="luodi")


def files_for(model: str, inbox: str, project: str = "") -> Asset:
    """Return the asset that changes where a file lies in the inbox of a model: the triggerer looks."""
    own = of_project(model, project)
    watcher = AssetWatcher(name=f"{own}_inbox", trigger=InboxTrigger(inbox))
    return Asset(name=f"{own}_files", uri=f"luodi://files/{own}", group="luodi", watchers=[watcher])


class InboxTrigger(BaseEventTrigger):
    """Looks into an inbox now and then, in the triggerer, and holds no worker; an event is a hint, the task looks anew.

    An event for each look that finds a file which did not lie there before, or was written since. Of what lies there
    when it begins it tells too: who knows what was told before.
    """

    def __init__(self, url: str, every: float = EVERY) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.url, self.every = url, every
        self._box: Inbox | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{InboxTrigger.__module__}.{InboxTrigger.__qualname__}", {"url": self.url, "every": self.every}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        before: dict[str, datetime | None] = {}
        trouble = ""
        while True:
            try:
                found = await asyncio.to_thread(self._look)
            except Exception as error:  # what it may be, it may pass, and no other look comes after this
                told = str(error) if isinstance(error, RemoteError) else type(error).__name__
                if trouble != (trouble := told):
                    self.log.warning("the inbox cannot be looked into, trying again: %s", trouble)
            else:
                if new := found.items() - before.items():
                    yield TriggerEvent(len(new))  # type: ignore[no-untyped-call]
                before, trouble = found, ""
            await asyncio.sleep(self.every)

    def _look(self) -> dict[str, datetime | None]:
        """Look by what is open, for a file system holds connections; anew where it did not answer, or is another."""
        store, box = Store.find(self.url), self._box
        self._box = None
        box = box if box and box.store == store else Inbox(store)
        found = box.found()
        self._box = box
        return found


class IngestOperator(WorkspaceOperator):
    """Take in what lies in the inbox; return what came of each file.

    Enough rows that no model was judged on, or drift, are an event of the asset `rows_of`.
    """

    def __init__(self, *, model: str, ingest: Ingest, **kwargs: Any) -> None:
        super().__init__(model=model, **kwargs)
        self.outlets = [AssetAlias(of_project(f"came_{model}", self.project))]
        self.ingest = ingest
        self._context: Context | None = None

    def execute(self, context: "Context") -> dict[str, Any]:
        if not Inbox(Store.find(self.ingest.inbox)).waiting():
            raise AirflowSkipException(f"no file lies in {self.ingest.inbox}")
        self._context = context
        result = super().execute(context)
        if why := reason(self.ingest, result["files"]):
            self.log.info("a reason to retrain %s: %s", self.model, why)
            (alias,) = self.outlets
            context["outlet_events"][alias].add(rows_of(self.model, self.project), extra={"why": why})
        return result

    def work(self, job: Job) -> dict[str, Any]:
        inbox = Inbox(Store.find(self.ingest.inbox))
        found = [self._take(job, inbox, name) for name in inbox.waiting()]
        for one in found:
            self.log.info("%s: %s", one["name"], one["refused"] or one["said"])
        return {"files": found}

    def _take(self, job: Job, inbox: "Inbox", name: str) -> dict[str, Any]:
        """Take in a file; what ends this between landing and moving has it come again, which adds nothing."""
        from luodi.registry import arriving

        with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
            here = Path(folder) / name
            try:
                inbox.bring(name, here)
            except (PermissionError, FileNotFoundError) as error:  # whoever mends that has it taken in by the next run
                why = f"it cannot be read ({type(error).__name__}): let the user of the workers read it"
                self._tell("refused", name, why, key=name)
                return {"name": name, "refused": why, "said": "", "rows": 0, "drift": "none", "waiting": 0}
            try:
                came = arriving.land(job.origin, self.model, here, job.runner)
            except arriving.Refused as error:
                self._tell("refused", name, str(error))
                inbox.put_aside(name, REFUSED, str(error))
                return {"name": name, "refused": str(error), "said": "", "rows": 0, "drift": "none", "waiting": 0}
        if came.drift == DRIFT:
            self._tell("drift", name, came.said)
        inbox.put_aside(name, DONE)
        return {"name": name, "refused": None, "said": came.said, "rows": came.rows, "drift": came.drift,
                "waiting": came.waiting}  # fmt: skip

    def _tell(self, what: str, name: str, text: str, key: str = "") -> None:
        """Tell of a file while it still lies in the inbox: whatever ends this, a retry finds it, and tells once."""
        if context := self._context:
            title = f"{self.model}: {shown(name, 60)}: {what}"
            notifying.tell(context, self.notify, what, title, key=key or f"{context['run_id']} {name}", text=text)


class Inbox:
    """A folder in which files come to lie, and that they are put aside in."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._fs, self._root = store.open()

    def waiting(self) -> list[str]:
        """Return the names of the files there that are whole; none where there is no folder."""
        return sorted(self.found())

    def found(self) -> dict[str, datetime | None]:
        """Return when each file there that is whole was written, by its name; None where the store does not say.

        Raises:
            RemoteError: The store does not answer, or refuses.
        """
        with self.store.answering("cannot be looked into"):
            self._fs.invalidate_cache()
            try:
                listed = self._fs.ls(self._root, detail=True)
            except FileNotFoundError:
                return {}
            paths = {one["name"].rpartition("/")[2]: one["name"] for one in listed if one["type"] == "file"}
            written = {name: self._written(path) for name, path in paths.items()
                       if not name.startswith(".") and not name.endswith(HALF)}  # fmt: skip
        return {name: at for name, at in written.items() if at is None or time.time() - at.timestamp() >= SETTLED}

    def _written(self, path: str) -> datetime | None:
        try:
            written: datetime = self._fs.modified(path)
        except NotImplementedError:  # a store that shows a file when it is whole
            return None
        return written if written.tzinfo else written.replace(tzinfo=UTC)

    def bring(self, name: str, to: Path) -> None:
        """Copy a file to this host."""
        self._fs.get_file(f"{self._root}/{name}", str(to))

    def put_aside(self, name: str, folder: str, why: str | None = None) -> None:
        """Move a file into a folder of the inbox; one of the same name that lies there keeps its own."""
        with self.store.answering(f"takes no file into {folder}/"):
            target = f"{self._root}/{folder}"
            self._fs.makedirs(target, exist_ok=True)
            place, number = f"{target}/{name}", 1
            while self._fs.exists(place):
                number += 1
                place = f"{target}/{number}-{name}"
            self._fs.mv(f"{self._root}/{name}", place)
            if why:
                self._fs.pipe_file(f"{place}.txt", f"{why}\n".encode())


def reason(ingest: Ingest, files: list[Mapping[str, Any]]) -> str | None:
    """Return why a model is to be retrained at once; None if its schedule will do."""
    drifted = [one["name"] for one in files if one["drift"] == DRIFT]
    rows = max((one["waiting"] for one in files), default=0)
    if ingest.retrain_on_drift and drifted:
        return f"drift in {', '.join(map(shown, drifted))}"
    if ingest.retrain_rows and rows >= ingest.retrain_rows:
        return f"{rows:,} rows that no model was judged on"
    return None


def said(files: list[Mapping[str, Any]]) -> str:
    """Return one line on what came."""
    rows = sum(one["rows"] for one in files)
    refused = [f"{shown(one['name'], 60)} refused: {one['refused']}" for one in files if one["refused"]]
    drifted = [shown(one["name"], 60) for one in files if one["drift"] == DRIFT]
    told = [f"{rows:,} new rows of {len(files):,} files", *([f"drift in {', '.join(drifted)}"] if drifted else [])]
    return "; ".join([*told, *refused])
