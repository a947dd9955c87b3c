"""The study of a model as Optuna keeps it: where it lies, what it is named for, which slots have ended, who has won."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from luodi.config import ModelSettings, Tune, user_code
from luodi.config.tuning import Space
from luodi.errors import ArtifactError, LuodiError
from luodi.files import checksum, private, private_folder
from luodi.project import fingerprints
from luodi.project.origin import EMBEDDED
from luodi.project.paths import ModelPaths, maker
from luodi.system import disk
from luodi.system.masking import redact
from luodi.tuning import goals
from luodi.tuning.goals import Goals

optuna.logging.set_verbosity(optuna.logging.ERROR)
WAIT = 60  # seconds in which SQLite waits for another process to write
SLOT, VALUES, EPOCHS, BEFORE, WHY, BY = "slot", "values", "epochs", "before", "why", "by"
"""What a trial notes of itself beside what Optuna does: the epochs that a try `before` it, which died, had trained;
`why` it failed, if no other try would end otherwise."""
LEASE = sqlalchemy.text("SELECT pg_try_advisory_lock(hashtextextended(:study, 0))")
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
Ended: TypeAlias = Mapping[int, FrozenTrial]
"""From a slot to the trial that ended there."""


@dataclass(frozen=True)
class Place:
    """Where studies are kept.

    Attributes:
        folder: Of this host: locks, and what processes of a run share.
        storage: URL of the database.
    """

    folder: Path
    storage: str

    @property
    def shown(self) -> str:
        """The URL without a password."""
        return redact(self.storage)


def place(root: Path) -> Place:
    """Return where a checkout or clone keeps its studies.

    LUODI_STUDIES, a folder or the URL of a database; else `studies` in LUODI_HOME, else in the embedded origin.
    """
    given = os.environ.get("LUODI_STUDIES", "")
    folder = Path(os.environ.get("LUODI_HOME") or root / EMBEDDED) / "studies"
    if "://" in given:
        return Place(folder, given)
    folder = Path(given) if given else folder
    return Place(folder, f"sqlite:///{folder.absolute()}/studies.db")


def name(settings: ModelSettings, paths: ModelPaths, tune: Tune, space: Space) -> str:
    """Return the name of a study: the model, and a hash of rows, code, settings and space.

    How many trials there are, and how many processes run them, does not count: to ask for more goes on.

    Raises:
        ArtifactError: validate has not run.
    """
    path = paths.clean
    if not path.exists():
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first")
    effective = user_code.effective(settings, paths.root)
    decide = {block: effective[block] for block in ("modality", "labels", "preprocess", "train")}
    how = [*goals.of(settings, tune).names, tune.sampler, tune.pruner]
    searched = {name: one.model_dump(mode="json") for name, one in space.items()}
    code = fingerprints.stage("tune", settings.modality)
    text = json.dumps([decide, how, searched, code, effective["gate"]["metric"], checksum(path)], sort_keys=True)
    return f"{paths.model}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@contextmanager
def alone(where: Place, study: str) -> Iterator[IO[str]]:
    """Hold the lock of a study on this host, and yield its file, which the processes that train inherit.

    The kernel drops it when the last of them has ended, however that was: who holds it knows that no trial runs. Of a
    PostgreSQL that several hosts share its own lock is held too, which it drops with the connection.

    Raises:
        LuodiError: Another process holds it, or the database cannot be opened.
    """
    with private():
        lock = (private_folder(where.folder) / f"{study}.lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LuodiError(
                f"the study {study} is being run by another process of this host: wait for it to end, "
                f"`luodi tune status {study.rpartition('-')[0]}` says where it stands"
            ) from None
        with _leased(where, study):
            yield lock


@contextmanager
def _leased(where: Place, study: str) -> Iterator[None]:
    if not where.storage.startswith("postgresql"):
        yield
        return
    with storage(where.storage).engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool, in which it would keep the lock
        if not connection.execute(LEASE, {"study": study}).scalar():
            raise LuodiError(
                f"the study {study} in {where.shown} is being run by another host: wait for it to end, "
                f"`luodi tune status {study.rpartition('-')[0]}` says where it stands"
            )
        yield


def storage(url: str) -> optuna.storages.RDBStorage:
    """Open the database of studies.

    Raises:
        LuodiError: It cannot be reached, or needs a driver that is not installed.
    """
    options = {"connect_args": {"timeout": WAIT}} if url.startswith("sqlite:") else {"pool_pre_ping": True}
    try:
        with private():
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except ImportError:
        raise LuodiError(
            f"the database of studies {redact(url)} needs a driver that is not installed here: that of PostgreSQL is "
            "`pip install psycopg2-binary`; or correct LUODI_STUDIES, a folder or the URL of a database"
        ) from None
    except Exception as error:  # of SQLAlchemy and of any driver
        why = redact(f"{type(error).__name__}: {error}".splitlines()[0])
        raise LuodiError(
            f"the database of studies {redact(url)} cannot be opened ({why}): correct LUODI_STUDIES, a folder or the "
            "URL of a database, or start the database"
        ) from None


@contextmanager
def told(where: Place) -> Iterator[None]:
    """Raise LuodiError where the database of studies does not do what it is asked, or is no longer what it was."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ or error
        why = redact(f"{type(cause).__name__}: {cause}".splitlines()[0])
        raise disk.explain(error) or LuodiError(
            f"the database of studies {where.shown} failed ({why}): see that it runs and was not removed; the next "
            "`luodi tune` goes on with what it holds"
        ) from None


def opened(where: Place, study: str, wanted: Goals) -> optuna.Study:
    """Open a study, a new one if there is none. Raises LuodiError as `storage` does."""
    return optuna.create_study(
        storage=storage(where.storage), study_name=study, directions=wanted.directions, load_if_exists=True
    )


def known(where: Place, study: str) -> optuna.Study:
    """Open a study that there is. Raises KeyError where there is none, and LuodiError as `storage` does."""
    if where.storage.startswith("sqlite:") and not Path(where.storage.partition("///")[2]).exists():
        raise KeyError(study)  # SQLite would make it
    return optuna.load_study(study_name=study, storage=storage(where.storage))


def running(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that run, or were running when all was killed."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [one for one in found if SLOT in one.user_attrs]


def ended(study: optuna.Study) -> dict[int, FrozenTrial]:
    """Return the trial of each slot that has ended, the first if there are several, in the order of slots."""
    found: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        if SLOT in trial.user_attrs and (trial.state in ENDED or WHY in trial.user_attrs):
            found.setdefault(trial.user_attrs[SLOT], trial)
    return dict(sorted(found.items()))


def abandon(study: optuna.Study, slot: int | None = None, by: str | None = None) -> None:
    """Fail the trials that run: all, or those of a slot, or of a slot that `by` runs. Whoever ran them has died."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        found = trial.user_attrs
        if slot in (None, found.get(SLOT)) and by in (None, found.get(BY)):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def measured(trials: Ended) -> dict[int, list[float]]:
    """Return the values of each slot whose trial came to its end."""
    return {slot: list(one.values) for slot, one in trials.items() if one.state == TrialState.COMPLETE}


def winner(trials: Ended, wanted: Goals) -> int:
    """Return the slot of the best value of the first metric among those within the budgets, of equal ones the first.

    It is 0, the settings as they stand, if there is none.
    """
    found = {slot: values for slot, values in front(trials, wanted).items() if not wanted.broken(values)}
    return min(found, key=lambda slot: (-wanted.better[0] * found[slot][0], slot), default=0)


def front(trials: Ended, wanted: Goals) -> dict[int, list[float]]:
    """Return the Pareto front: slots, with values, than which no other is as good in all and better in one."""
    found = measured(trials)
    return {
        slot: values
        for slot, values in found.items()
        if not any(wanted.dominates(other, values) for other in found.values())
    }


def seconds(trials: Ended) -> float:
    """Return the time of all trials together."""
    return sum(one.duration.total_seconds() for one in trials.values() if one.duration)


def facts(slot: int, trial: FrozenTrial, wanted: Goals) -> dict[str, Any]:
    """Return what a page says of a trial: no time, which belongs to the machine."""
    known = trial.user_attrs
    values = trial.values if trial.state == TrialState.COMPLETE else []
    return {
        "trial": slot,
        "state": "failed" if trial.state == TrialState.FAIL else trial.state.name.lower(),
        "value": values[0] if values else None,
        "beside": dict(zip(wanted.names[1:], values[1:], strict=False)),
        "epochs": known.get(EPOCHS, 0),
        "values": known.get(VALUES, {}),
        "why": known.get(WHY),
    }
