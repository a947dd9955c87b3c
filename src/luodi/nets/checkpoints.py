"""Where training stands, kept outside of the clone that a task throws away, so that the next try goes on from there.

A checkpoint is named for all that decides the trained bytes: code and libraries, settings, rows. So one of other code,
settings or data is never found, a try in another clone or on another host finds it where they share the place, and
each network that scores out of fold has its own. Two processes that train the same at once write the same states.

`NAME.npz` holds arrays and, as JSON, what else there is to know; `NAME.json` says that a try began, and how it ended.
The place is a folder, or a URL of fsspec (s3://bucket/folder): LUODI_CHECKPOINTS, else `checkpoints` in LUODI_HOME,
where a host keeps its DVC cache, else in the embedded origin of the checkout.
"""

import hashlib
import json
import os
import platform
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from luodi import config
from luodi.config import user_code
from luodi.data.modality import Encoder
from luodi.errors import LuodiError
from luodi.files import private
from luodi.project import fingerprints
from luodi.project.origin import EMBEDDED
from luodi.project.paths import ModelPaths
from luodi.system import resources
from luodi.system.masking import redact

OLDEST = 14 * 86400  # seconds after which what a training left that never went on is removed
MOST = 20 << 30  # bytes that the place may hold; of more the oldest are removed
UNFINISHED = 60  # seconds without a write after which a file that is being written is no longer
TRIES = 10  # failed ones that are told of
OURS = re.compile(r"\.?([0-9a-f]{32})\.(npz|json)(\.\S+)?$")
BLOCKS = ("modality", "labels", "preprocess", "train")
GOES_ON = "the next one goes on from its last checkpoint"
NEUTRAL = ("checkpoint_minutes", "halve_batch")  # settings of train that change no byte

T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """What training goes on from.

    Attributes:
        arrays: The variables of model, optimizer and metrics, and the best weights, by name.
        facts: JSON: what else there is.
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


def place(root: Path) -> str:
    """Return the folder or URL where a checkout or clone keeps its checkpoints."""
    if given := os.environ.get("LUODI_CHECKPOINTS"):
        return given
    return str(Path(os.environ.get("LUODI_HOME") or root / EMBEDDED) / "checkpoints")


class Store:
    """Files by name in a folder, or behind a URL that fsspec knows; a name has its old bytes or its new ones.

    Raises:
        LuodiError: The URL is of no kind that is installed.
    """

    def __init__(self, place: str) -> None:
        import fsspec

        try:
            self.fs, self.folder = fsspec.url_to_fs(place)
        except (ValueError, ImportError) as error:
            raise LuodiError(
                f"LUODI_CHECKPOINTS is {redact(place)}: expected a folder, or a URL that fsspec knows ({error}): "
                "correct it, or install what it needs"
            ) from None

    def names(self) -> list[str]:
        """The names of the files that are there, those that are being written among them."""
        self.fs.invalidate_cache()
        if not self.fs.isdir(self.folder):
            return []
        return [str(path).rpartition("/")[2] for path in self.fs.ls(self.folder, detail=False)]

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Yield a binary file that becomes `name`, whole and synced, when the block has ended."""
        temporary = f"{self.folder}/.{name}.{platform.node()}-{os.getpid()}"
        with private():
            self.fs.makedirs(self.folder, exist_ok=True)
            with self.fs.open(temporary, "wb") as file:
                yield file
                if "file" in self.fs.protocol:
                    file.flush()
                    os.fsync(file.fileno())
        self.fs.mv(temporary, f"{self.folder}/{name}")

    def reading(self, name: str) -> Any:
        """Return `name`, open for reading. Raises FileNotFoundError."""
        return self.fs.open(f"{self.folder}/{name}", "rb")

    def remove(self, name: str) -> None:
        """Remove `name` if it is there."""
        with suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.folder}/{name}")

    def sweep(self) -> None:
        """Remove what nobody came back for: what is old, what was never written to its end, the oldest of too much."""
        now, held = time.time(), 0
        files = [(self._changed(name), name) for name in self.names() if OURS.match(name)]
        for changed, name in sorted(files, reverse=True):
            size = self.fs.size(f"{self.folder}/{name}")
            if now - changed > (UNFINISHED if name.startswith(".") else OLDEST) or held + size > MOST:
                self.remove(name)
            else:
                held += size

    def _changed(self, name: str) -> float:
        found: float = self.fs.modified(f"{self.folder}/{name}").timestamp()
        return found


@dataclass
class Checkpoint:
    """That of one training. What the place does not do, full or out of reach, costs a line and nothing else.

    Attributes:
        tries: How the tries before this one ended.
    """

    store: Store
    name: str
    tries: list[str] = field(default_factory=list)

    def begin(self) -> State | None:
        """Say that a try begins; return what it goes on from, if there is anything."""
        self._kept("tidied", self.store.sweep)
        left = self._kept("read", self._note)
        if left and not _goes_on(left):
            self.tries = [*left["tries"], left["ended"] or _guess(left)][-TRIES:]
            print(f"train: the try before this one {self.tries[-1]}", flush=True)
        self._tell(None)
        return self._kept("read", self._read)

    def end(self, how: str) -> None:
        """Say how the try ended, here and to the next one."""
        self._tell(how)
        with suppress(OSError):  # whoever read it may be gone
            print(f"train: this try {how}", flush=True)

    def write(self, state: State) -> bool:
        """Keep a state in place of the one before; return whether it is kept."""
        return self._kept("written", lambda: self._write(state)) is not None

    def remove(self) -> None:
        """Forget the training: it has come to its end."""
        self._kept("removed", lambda: self.store.remove(f"{self.name}.npz"))
        self._kept("removed", lambda: self.store.remove(f"{self.name}.json"))

    def _write(self, state: State) -> str:
        facts = np.frombuffer(json.dumps(dict(state.facts)).encode(), np.uint8)
        arrays: dict[str, Any] = {**state.arrays, "facts": facts}
        with self.store.writing(f"{self.name}.npz") as file:
            np.savez(file, **arrays)
        return self.name

    def _read(self) -> State | None:
        try:
            with self.store.reading(f"{self.name}.npz") as file, np.load(file, allow_pickle=False) as arrays:
                found = dict(arrays)
        except FileNotFoundError:
            return None
        return State(found, json.loads(found.pop("facts").tobytes()))

    def _note(self) -> dict[str, Any] | None:
        try:
            with self.store.reading(f"{self.name}.json") as file:
                found: dict[str, Any] = json.loads(file.read())
        except FileNotFoundError:
            return None
        return found

    def _tell(self, ended: str | None) -> None:
        began = datetime.now(UTC).isoformat(timespec="seconds")
        note = {"tries": self.tries, "ended": ended, "began": began, "pid": os.getpid(), **_here()}
        self._kept("written", lambda: self._write_note(note))

    def _write_note(self, note: Mapping[str, Any]) -> None:
        with self.store.writing(f"{self.name}.json") as file:
            file.write(json.dumps(note).encode())

    def _kept(self, what: str, do: Callable[[], T]) -> T | None:
        """What `do` returns. Of a file that is no checkpoint any library may raise anything, of a bucket too."""
        try:
            return do()
        except Exception as error:
            why = redact(f"{type(error).__name__}: {error}".splitlines()[0])
            print(f"train: no checkpoint can be {what} ({why}): training goes on without", flush=True)
            return None


@dataclass
class Checkpoints:
    """Those of a run of the stage: of the network that is exported, and of each that scores out of fold."""

    store: Store
    digest: bytes
    begun: list[Checkpoint] = field(default_factory=list)

    def of(self, where: str, *arrays: NDArray[Any]) -> Checkpoint:
        """Return the checkpoint of the training on these rows and labels; `where` says what else decides its bytes."""
        digest = hashlib.sha256(self.digest + where.encode())
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        self.begun.append(Checkpoint(self.store, digest.hexdigest()[:32]))
        return self.begun[-1]

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Note how the try ends that is under way, if it does not come to its end."""
        try:
            yield
        except BaseException as error:
            if self.begun:
                self.begun[-1].end(_how(error))
            raise

    def remove(self) -> None:
        """Forget all of them: what they led to is written."""
        for one in self.begun:
            one.remove()


def of_stage(settings: config.ModelSettings, paths: ModelPaths, encoder: Encoder) -> Checkpoints:
    """Return the checkpoints for training by `settings` on rows of `encoder`."""
    effective = user_code.effective(settings, paths.root)
    decide: dict[str, Any] = {block: effective[block] for block in BLOCKS}
    decide["train"] = {name: value for name, value in decide["train"].items() if name not in NEUTRAL}
    code = fingerprints.stage("train", settings.modality)
    text = json.dumps([code, decide, encoder.as_json()], sort_keys=True)
    return Checkpoints(Store(place(paths.root)), hashlib.sha256(text.encode()).digest())


def _here() -> dict[str, Any]:
    """This host since it started, and how many processes the kernel has ended here for want of memory."""
    return {"host": platform.node(), "boot": resources.boot(), "kills": resources.kills()}


def _how(error: BaseException) -> str:
    """How a try ended that raises `error`."""
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
        name = signal.Signals(error.code - 128).name
        return f"was ended by {name}: somebody stopped it, or its time was up; {GOES_ON}"
    if isinstance(error, KeyboardInterrupt):
        return f"was interrupted at the keyboard; {GOES_ON}"
    return f"failed: {error}" if isinstance(error, LuodiError) else f"failed: {type(error).__name__}: {error}"


def _same_host(note: Mapping[str, Any]) -> bool:
    here = _here()
    return (note["host"], note["boot"]) == (here["host"], here["boot"])


def _goes_on(note: Mapping[str, Any]) -> bool:
    """Whether the try that wrote it has not ended."""
    return (
        note["ended"] is None
        and _same_host(note)
        and note["pid"] != os.getpid()
        and Path(f"/proc/{note['pid']}").exists()
    )


def _guess(note: Mapping[str, Any]) -> str:
    """Why a try that could not say it ended."""
    when = f"(begun {note['began']} on {note['host']})"
    kills = resources.kills()
    if _same_host(note) and None not in (kills, note["kills"]) and kills > note["kills"]:
        return f"{when} was ended by the kernel, for memory ran out: {resources.MORE_MEMORY}"
    return (
        f"{when} ended without a word: it was killed, by a time limit or by somebody, or its host went away; of a pod "
        f"`kubectl describe pod` says OOMKilled if memory ran out: {resources.MORE_MEMORY}"
    )
