"""The task of `monitor_MODEL`: `luodi monitor` in a private clone; somebody is told of drift and of alarms, once."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from luodi import config
from luodi.airflow import notifying
from luodi.airflow.operators import Job, WorkspaceOperator
from luodi.airflow.stores import Store
from luodi.config import Monitor
from luodi.errors import Alarmed, MissingData
from luodi.project import workspace
from luodi.system import processes
from luodi.system.processes import CommandFailed

if TYPE_CHECKING:
    from airflow.sdk import Context

TASK = "monitor"
FACTS = "report.json"


class MonitorOperator(WorkspaceOperator):
    """Look at the request log of a model, do what is proven and allowed, and leave the page where `reports` says.

    It is skipped where nobody asked, and returns what was found; what is to be looked at fails no task.
    """

    def __init__(self, *, monitor: Monitor, notify: config.Notify | None = None, **kwargs: Any) -> None:
        super().__init__(notify=notify, **kwargs)
        self.monitor = monitor

    def execute(self, context: "Context") -> dict[str, Any]:
        result = super().execute(context)
        if "nothing" in result:
            raise AirflowSkipException(result["nothing"])
        if result["steps"] or any(one.startswith("live accuracy fell") for one in result["alarms"]):
            self._tell(context, "alarm", result)
        elif result["alarms"]:
            self._tell(context, "drift", result)
        return result

    def _tell(self, context: "Context", what: str, result: dict[str, Any]) -> None:
        title = f"{self.model} in use: {result['alarms'][0]}"
        text = "\n".join([*result["alarms"], *result["done"], *([result["left"]] if result["left"] else [])])
        notifying.tell(context, self.notify, what, title, key=context["run_id"], text=text)

    def work(self, job: Job) -> dict[str, Any]:
        with (
            workspace.clone(job.origin, job.commit, job.runner) as clone,
            tempfile.TemporaryDirectory(prefix="luodi-") as folder,
        ):
            if nothing := self._look(job, clone.root, Path(folder)):
                return {"nothing": nothing}
            facts = json.loads((Path(folder) / FACTS).read_text(encoding="utf-8"))
            left = _leave(Path(folder), self.monitor.reports, self.model) if self.monitor.reports else ""
        for line in facts["alarms"]:
            self.log.warning("%s", line)
        told = ("production", "rows", "alarms", "steps", "done", "live")
        return {name: facts[name] for name in told} | {"drift": facts["drift"]["verdict"], "left": left}

    def _look(self, job: Job, root: Path, folder: Path) -> str:
        """Run the command; return why there was nothing to look at."""
        path = processes.path()
        command = ("luodi", "monitor", self.model, "--to", str(folder), "--act")
        try:
            job.runner.run(*command, cwd=root, env={"PATH": path, **job.origin.environment()}, stream=True)
        except CommandFailed as error:
            if error.code == MissingData.exit_code and " holds no " in error.output:
                return error.output.partition("error: ")[2].strip()
            if error.code != Alarmed.exit_code:
                raise
        return ""


def _leave(folder: Path, url: str, model: str) -> str:
    """Copy what was written to a folder or URL, by day; return where it is."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    fs, root = Store.find(url).open()
    target = f"{root.rstrip('/')}/{model}/{facts['at'][:10]}"
    fs.makedirs(target, exist_ok=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            place = f"{target}/{path.relative_to(folder).as_posix()}"
            fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            fs.put_file(str(path), place)
    return str(fs.unstrip_protocol(f"{target}/report.html"))
