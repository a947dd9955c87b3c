"""The tasks of `predict_MODEL`: the files of a date, each predicted once, all by the version of the run's start.

Beside each file of the output lies what it was made of, `_NAME.json`: while that is so, the file is left as it is.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from luodi.airflow.inbox import HALF
from luodi.airflow.operators import Job, WorkspaceOperator
from luodi.airflow.stores import Store
from luodi.airflow.trigger import Trigger
from luodi.config import Predict
from luodi.config.operations import DATE
from luodi.errors import BrokenData, DataError
from luodi.terminal import shown

if TYPE_CHECKING:
    from airflow.sdk import Context

    from luodi.data.inputs import Part
    from luodi.registry.classifier import Registered

FILES, TASK = "files", "predict"


class _OfDate(WorkspaceOperator):
    """A task of a run whose conf may name a date."""

    def __init__(self, *, predict: Predict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.predict = predict

    def trigger(self, context: "Context") -> Trigger:
        if unknown := sorted((context["dag_run"].conf or {}).keys() - {"date"}):
            raise AirflowFailException(f"the run's conf says {', '.join(map(shown, unknown))}: expected date alone")
        return Trigger()


class FilesOperator(_OfDate):
    """Return a share of the files of the run's date for each task that follows, and what they all go by.

    It is skipped where no file is there.
    """

    def execute(self, context: "Context") -> Any:
        moment = moment_of(context["dag_run"], self.predict.hours_before)
        names = Place(pattern := of_date(self.predict.input, moment)).names()
        if not names:
            raise AirflowSkipException(f"no file of {moment:%Y-%m-%d}: {pattern}")
        version = super().execute(context)["version"]
        self.log.info("%s files: %s, by %s@%s", f"{len(names):,}", pattern, self.model, version)
        return [
            {"version": version, "moment": moment.isoformat(), "names": share}
            for share in shares(names, self.predict.tasks)
        ]

    def work(self, job: Job) -> dict[str, Any]:
        from luodi.registry import tags

        return {"version": tags.find(tags.mirror(job.origin, job.runner), self.model).number}


class PredictOperator(_OfDate):
    """Predict a share of the files; return how many were, their rows, and how many lay there already."""

    def __init__(self, *, share: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def work(self, job: Job) -> dict[str, Any]:
        moment, number, names = datetime.fromisoformat(self.share["moment"]), self.share["version"], self.share["names"]
        source, target = (Place(of_date(one, moment)) for one in (self.predict.input, self.predict.output))
        due = {}
        for name in names:
            output = output_of(name, self.predict.form)
            made = {"version": f"{self.model}@{number}", "input": source.state(name)}
            if not target.holds(output, made):
                due[name] = output, made
        rows = self._predict(job, number, source, target, due) if due else 0
        return {"files": len(due), "rows": rows, "there": len(names) - len(due)}

    def _predict(
        self, job: Job, number: str, source: "Place", target: "Place", due: Mapping[str, tuple[str, dict[str, Any]]]
    ) -> int:
        """Predict files; one that cannot be read keeps none of the others from it, and is told at the end."""
        from luodi.registry import classifier

        model = classifier.load(job.origin, self.model, number, job.runner)
        rows, broken = 0, []
        for name, (output, made) in due.items():
            with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
                here, scored = Path(folder) / "in" / Path(name).name, Path(folder) / output.rpartition("/")[2]
                source.bring(name, here)
                try:
                    count = score(model, here, scored)
                except DataError as error:
                    broken.append(str(error).replace(str(here), source.address(name)))
                    continue
                target.put(scored, output, {**made, "rows": count})
            self.log.info("%s rows: %s", f"{count:,}", target.address(output))
            rows += count
        if broken:
            raise BrokenData(*broken)
        return rows


def score(model: "Registered", file: Path, target: Path) -> int:
    """Write what a version says of a file; return the number of its rows."""
    from luodi.data import inputs
    from luodi.scoring import bulk

    read: dict[str, Callable[..., Iterator[Part]]] = {"text": inputs.text_parts, "image": image_parts}
    parts = read[model.encoder.modality](str(file), known=model.column)
    return bulk.score(parts, model, model.version, target, digest=model.digest).rows


def image_parts(source: str, known: str | None) -> "Iterator[Part]":
    """Yield images by names that do not tell where they were brought: the same bytes come of them each time."""
    from luodi.data import inputs

    folder = f"{Path(source).parent}/"
    for part in inputs.image_parts(source, known=known):
        yield replace(part, rows=[{"file": str(row["file"]).removeprefix(folder)} for row in part.rows])


def moment_of(run: Any, hours_before: int) -> datetime:
    """Return the time whose date a run is for: of its conf, or so many hours before it is due.

    Raises:
        AirflowFailException: The conf says something else.
    """
    if (given := (run.conf or {}).get("date")) is None:
        due: datetime = run.logical_date or run.run_after
        return due.astimezone(settings.TIMEZONE) - timedelta(hours=hours_before)
    try:
        return datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise AirflowFailException(
            f"the run's conf says date {shown(repr(given), 60)}: expected a date such as 2026-11-28"
        ) from None


def of_date(pattern: str, moment: datetime) -> str:
    """Fill the date into a pattern of params.yaml."""
    return DATE.sub(lambda found: moment.strftime(found[1] or "%Y-%m-%d"), pattern)


def shares(names: list[str], most: int) -> list[list[str]]:
    """Deal out files to so many tasks at most."""
    return [names[place::most] for place in range(min(most, len(names)))]


def output_of(name: str, form: str) -> str:
    """Return the name of what is made of a file: its own, and the suffix of the form where it has another."""
    return name if name.endswith(f".{form}") else f"{name}.{form}"


class Place:
    """Files in a folder that fsspec reads, or those that a pattern finds below it: of this host, or a URL."""

    def __init__(self, url: str) -> None:
        self._fs, path = Store.find(url).open()
        self._fs.invalidate_cache()
        fixed, *wild = re.split(r"[*?[]", path)
        self._pattern = path if wild else f"{path.rstrip('/')}/*"
        self._root = fixed.rpartition("/")[0] if wild else path.rstrip("/")

    def names(self) -> list[str]:
        """Return the names, below the folder, of what the pattern finds; not of what is hidden, or half there."""
        found = self._fs.glob(self._pattern, detail=True)
        names = (path.removeprefix(f"{self._root}/") for path, one in found.items() if one["type"] == "file")
        return sorted(name for name in names if not Path(name).name.startswith((".", "_")) and not name.endswith(HALF))

    def address(self, name: str) -> str:
        """Return where a file lies."""
        return str(self._fs.unstrip_protocol(f"{self._root}/{name}"))

    def state(self, name: str) -> str:
        """Return what changes when a file does, however it was listed: `ukey` tells a bucket's list from its answer."""
        path = f"{self._root}/{name}"
        info = self._fs.info(path)
        try:
            changed = info.get("ETag", "").strip('"') or self._fs.modified(path).isoformat()
        except NotImplementedError:
            changed = self._fs.ukey(path)
        return f"{info['size']} {changed}"

    def bring(self, name: str, to: Path) -> None:
        """Copy a file to this host."""
        to.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get_file(f"{self._root}/{name}", str(to))

    def holds(self, name: str, made: Mapping[str, Any]) -> bool:
        """Tell whether a file is there that was made of just that."""
        try:
            record = json.loads(self._fs.cat_file(self._record(name)))
        except (FileNotFoundError, ValueError):
            return False
        return made.items() <= record.items() and bool(self._fs.exists(f"{self._root}/{name}"))

    def put(self, file: Path, name: str, made: Mapping[str, Any]) -> None:
        """Put a whole file in its place, then write down what it was made of."""
        folder, _, last = f"{self._root}/{name}".rpartition("/")
        self._fs.makedirs(folder, exist_ok=True)
        self._fs.put_file(str(file), half := f"{folder}/.{last}.tmp")
        self._fs.mv(half, f"{folder}/{last}")
        self._fs.pipe_file(self._record(name), json.dumps(made, sort_keys=True).encode())

    def _record(self, name: str) -> str:
        folder, _, last = f"{self._root}/{name}".rpartition("/")
        return f"{folder}/_{last}.json"
