"""The private clone that a task works in, thrown away after: a git commit and lock entries in, lock entries out."""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from luodi import config
from luodi.config import locked
from luodi.errors import (
    ArtifactError,
    DiskFull,
    GitError,
    LuodiError,
    RegistryError,
    RemoteError,
)
from luodi.files import checksum, close, folder_checksum, private, private_folder, write_text
from luodi.project import dvc_settings, dvc_store, graph, locks, programs
from luodi.project.origin import Origin
from luodi.project.paths import PARAMS, ModelPaths
from luodi.system import disk, processes
from luodi.system.masking import redact
from luodi.system.processes import CommandFailed, Runner

NOWHERE = re.compile(r"do not exist neither locally nor on remote|^md5: \w{32}", re.MULTILINE)
"""What `dvc push` warns of, a line for each file, and goes well."""

KEPT_FAILURES = 3  # clones of failed tasks kept for a look, oldest dropped first

MEND = "run the stages again, or `dvc push` from a checkout that has it"


@dataclass(frozen=True)
class Workspace:
    """A clone at one commit, its DVC set to the origin's remote and the host's shared cache."""

    root: Path
    origin: Origin
    runner: Runner
    cache: Path

    @property
    def lock(self) -> Path:
        return self.root / "dvc.lock"

    def has(self, commit: str) -> bool:
        """Whether the commit is in the clone."""
        try:
            self.git("cat-file", "-e", f"{commit}^{{commit}}")
        except CommandFailed:
            return False
        return True

    def git(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run git in the clone; raises as the function `git` does."""
        return programs.git(self.origin, self.runner, self.root, *arguments, env=env)

    def dvc(self, *arguments: str, stream: bool = False, mend: str = MEND) -> str:
        """Run dvc in the clone. What it lacks is named, and how to `mend` it."""
        umask = programs.umask_of(self.origin, self.origin.remote, *arguments)
        try:
            return programs.dvc(self.runner, self.root, *arguments, stream=stream, umask=umask, home=self.origin.home)
        except programs.Absent as error:
            first = takewhile(lambda argument: argument != ";", arguments[1:])
            named = {argument for argument in first if not argument.startswith("-")}
            raise self.absent(error.names | named, mend) from None

    def reproduce(self, stage: str) -> dict[str, Any]:
        """Run one `STAGE@MODEL` unless its lock entry still holds, push its outputs, return its new lock entry.

        Raises:
            StageFailed: Its command failed; `code` is the exit code of `luodi STAGE`.
            RemoteError: Its dependencies or outputs cannot be moved.
        """
        locked.write(self.root)  # the commit may have another params.yaml than the one that it was last written from
        self._show_what_changed(stage)
        self._copy_dependencies(stage)
        self._bring_encoder(stage)
        if not self._repro_and_push(stage):  # a clone of a project whose remote is elsewhere, or was emptied
            self._drop_entry(stage)
            self._copy_dependencies(stage)
            self._repro_and_push(stage)
        entry = locks.read(self.lock).get(stage)
        if entry is None:
            raise ArtifactError(f"dvc repro left no entry for {stage} in dvc.lock")
        return {stage: entry}

    def _repro_and_push(self, stage: str) -> bool:
        """Return whether the outputs are stored then: DVC takes those that are nowhere for up to date."""
        repro, push = ("repro", "--single-item", "--pull", "--allow-missing", stage), ("push", stage)
        if programs.umask_of(self.origin, self.origin.remote, *push) == -1:
            return not NOWHERE.search(self.dvc(*repro, ";", *push, stream=True))
        self.dvc(*repro, stream=True)  # what is pushed is for others to read, what is made here is not
        return not NOWHERE.search(self.dvc(*push, stream=True))

    def _drop_entry(self, stage: str) -> None:
        known = locks.read(self.lock)
        locks.write(self.lock, {name: entry for name, entry in known.items() if name != stage})

    def run_trial(self, model: str, slot: int) -> None:
        """Run one trial of a search: what it finds goes into the study, and nothing is pushed.

        Raises:
            StageFailed: Its command failed.
            RemoteError: The rows cannot be brought.
        """
        locked.write(self.root)
        self.pull(ModelPaths(self.root, model).clean.relative_to(self.root).as_posix())
        command = ("luodi", "tune", "run", model, "--trial", str(slot))
        environment = {"PATH": processes.path(), "PYTHONUNBUFFERED": "1", "LUODI_HOME": str(self.origin.home)}
        try:
            self.runner.run(*command, cwd=self.root, env=environment, stream=True)
        except CommandFailed as error:
            raise programs.explain_stage(" ".join(command), error.code, error.output, self.root) from None

    def _show_what_changed(self, stage: str) -> None:
        """Make DVC see what changed before `stage`: alone, it counts what is not there as unchanged.

        So an entry is forgotten that read other files than the stages before it left, or that has other paths than
        dvc.yaml gives the stage now, as when a stage was put before it or taken away. Raw data are brought.
        """
        known = locks.read(self.lock)
        made = {path: md5 for name in known for path, md5 in locks.outputs(known, name).items()}
        read = {dep["path"]: dep["md5"] for dep in known.get(stage, {}).get("deps", ())}
        declared, written = self._declared(stage), locks.outputs(known, stage)
        moved = read.keys() != set(declared["deps"]) or written.keys() != set(declared["outs"])
        if moved or any(made.get(path, md5) != md5 for path, md5 in read.items()):
            self._drop_entry(stage)
        if raw := [path for path in declared["deps"] if path in read.keys() - made and not (self.root / path).exists()]:
            self.pull(*raw)

    def _copy_dependencies(self, stage: str) -> None:
        """Copy what `stage` reads from the DVC cache, unless DVC may find that nothing changed and it is not needed."""
        if stage in locks.read(self.lock):
            return
        known = self._outputs()
        for path in self._declared(stage)["deps"]:
            self._copied(path, known.get(path), self.cache)

    def _declared(self, stage: str) -> dict[str, list[str]]:
        """The paths that dvc.yaml gives one `STAGE@MODEL`."""
        name, _, model = stage.partition("@")
        modality = config.settings_of(config.load(self.root / PARAMS), model).modality
        return graph.stages(self.root / "dvc.yaml", model, modality)[name]

    def _bring_encoder(self, stage: str) -> None:
        """Bring the pretrained encoder that a stage reads, which DVC knows by its hash in params.lock alone."""
        name, _, model = stage.partition("@")
        settings = config.settings_of(config.load(self.root / PARAMS), model)
        if name in ("tune", "train") and settings.train.encoder:
            self.pull(f"data/encoders/{settings.train.encoder}")

    def pull(self, *paths: str, mend: str = MEND) -> None:
        """Bring outputs named in dvc.lock or data.dvc, each checked against its hash.

        Raises:
            RemoteError: The DVC remote does not hold them; the message tells how to `mend` it.
            RegistryError: The DVC cache holds something else.
        """
        known = self._outputs()
        lacking = [path for path in paths if not self._here(path, known.get(path))]
        if away := [path for path in lacking if not self._copied(path, known.get(path), self.cache)]:
            self.dvc("pull", *away, mend=mend)
            self._check(*away)

    def pull_rows(self, model: str) -> None:
        """Bring what data.dvc records of a model, and of no other; nothing where that is nothing. Raises as `pull`."""
        folder = f"data/{model}"
        found = self.recorded(folder)
        if any(dvc_store.lacks(self.cache, md5) for md5 in found.values()):
            self.dvc("pull", folder)
        for path, md5 in found.items():
            to = self.root / folder / path
            to.parent.mkdir(parents=True, exist_ok=True)
            if not to.exists():
                shutil.copyfile(dvc_store.place(self.cache, md5), to)

    def recorded(self, folder: str) -> dict[str, str]:
        """Return path below `folder` -> MD5 of what data.dvc records there; none of it need be here.

        Raises:
            RemoteError: The list is in no cache here, and the DVC remote does not give it.
        """
        if not (md5 := self._outputs().get("data")):
            return {}
        stores = [self.cache, *([Path(self.origin.remote)] if self.origin.remote else [])]
        if (found := dvc_store.recorded(stores, md5, folder)) is None:
            told = self.dvc("list", "--recursive", "--dvc-only", "--json", "--show-hash", ".", folder)
            found = {one["path"]: one["md5"] for one in json.loads(told)}
        return found

    def prove(self, *stages: str, paths: Sequence[str]) -> list[str]:
        """Pull outputs as `pull` does; return those of stages, folders file by file, that the remote lacks."""
        entries = locks.read(self.lock)
        # Paths, though dvc says that it takes stages: of those it would find nothing missing.
        outs = [path for stage in stages for path in locks.outputs(entries, stage)]
        if self._proven(outs, paths):
            return []
        status = ("data", "status", "--not-in-remote", "--granular", "--json", *outs)
        answer = self.dvc("pull", *paths, ";", *status).splitlines()[-1]
        self._check(*paths)
        found: list[str] = json.loads(answer).get("not_in_remote", [])
        return found

    def _check(self, *paths: str) -> None:
        for path, md5 in self._outputs().items():
            if path in paths and not self._here(path, md5):
                bad = " ".join(
                    shlex.quote(str(dvc_store.place(self.cache, one))) for one in dvc_store.damaged(self.cache, md5)
                )
                why = (
                    f"its files were changed in the DVC cache; remove them with `rm -f {bad}`, and"
                    if bad
                    else "it did not come whole;"
                )
                raise RegistryError(f"{path} does not match its hash {md5} in dvc.lock: {why} run it again")

    def _proven(self, outs: Sequence[str], paths: Sequence[str]) -> bool:
        """Whether the remote is a folder here that holds `outs`, of which `paths` were copied; else DVC tells more."""
        store, known = Path(self.origin.remote or ""), self._outputs()
        if not (self.origin.remote and store.is_dir() and all(dvc_store.holds(store, known[path]) for path in outs)):
            return False
        return all(self._copied(path, known.get(path), store) for path in paths)

    def _here(self, path: str, md5: str | None) -> bool:
        """Whether an output is in the clone as it was recorded: it may have been brought before."""
        found = self.root / path
        return found.exists() and (folder_checksum(found) if found.is_dir() else checksum(found)) == md5

    def _copied(self, path: str, md5: str | None, store: Path) -> bool:
        """Copy an output from a cache, or folder remote, that holds it unharmed: to start DVC for that takes longer."""
        target = self.root / path
        if md5 is None or target.exists() or dvc_store.damaged(store, md5):
            return False
        if md5.endswith(".dir"):
            target.mkdir(parents=True)  # it may be empty
        for file, relative in dvc_store.files(store, md5):
            to = target / relative
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dvc_store.place(store, file), to)
        return True

    def _outputs(self) -> dict[str, str]:
        """Path -> MD5 of all that dvc.lock and data.dvc record."""
        pointer = self.root / "data.dvc"
        data = yaml.safe_load(pointer.read_text(encoding="utf-8")) if pointer.exists() else {}
        entries = {**locks.read(self.lock), "data": data}
        return {path: md5 for stage in entries for path, md5 in locks.outputs(entries, stage).items()}

    def absent(self, names: set[str], mend: str = MEND) -> RemoteError:
        """What DVC did not get, by its paths or MD5s, and how to mend it: a folder whose list is there seems whole."""
        url = self._remote()
        if "://" not in url and not Path(url).is_dir():
            return RemoteError(
                f"the DVC remote cannot be used: there is no folder {url}: bring it back, or set LUODI_DVC_REMOTE"
            )
        store = self.cache if "://" in url else Path(url)
        bad = {path: dvc_store.damaged(store, md5) for path, md5 in self._outputs().items()}
        lost = {
            path: md5s
            for path, md5s in bad.items()
            if md5s and (names & {path, *md5s} or any(name.startswith(f"{path}/") for name in names))
        }
        what = f"it cannot be reached, or does not hold {', '.join(lost or sorted(names))} as dvc.lock records it"
        if places := [
            dvc_store.place(url, md5) for md5 in dict.fromkeys(md5 for found in lost.values() for md5 in found)
        ]:
            mend = (
                "`dvc push` alone does not mend it, first remove there what is damaged or not whole: "
                f"{dvc_store.removal(url, places)}; then {mend}"
            )
        return RemoteError(f"the DVC remote cannot be used: {what}; {mend}")

    def _remote(self) -> str:
        """URL or path of the DVC remote."""
        if self.origin.remote:
            return self.origin.remote
        name = dvc_settings.default_remote(self.root)
        known = dict(line.split()[:2] for line in self.dvc("remote", "list").splitlines())
        return known.get(name or "", "the DVC remote")


@contextmanager
def clone(
    origin: Origin, commit: str, runner: Runner, own_cache: bool = False, cache: Path | None = None
) -> Iterator[Workspace]:
    """Yield a private clone at `commit`; remove it after, or keep it among the last failures on an error.

    It uses the DVC cache that all clones of the host share, or `cache`. With `own_cache` it shares none: what it pulls
    comes from the remote.
    A clone whose process was killed is swept away by the next one: the kernel drops its file lock.
    """
    folder = private_folder(private_folder(origin.home) / "work")
    _sweep(folder)
    root = folder / f"{commit[:12]}-{secrets.token_hex(4)}"
    with private(), (folder / f"{root.name}.new").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        lock = Path(guard.name).rename(f"{root}.lock")  # seen by other sweeps only now, locked
        try:
            shared = cache or origin.home / "cache"
            yield _make(root, origin, commit, runner, root / ".dvc" / "cache" if own_cache else shared)
        except Exception as error:
            told = error if isinstance(error, LuodiError) else disk.explain(error)
            gone, kept = re.escape(str(root)), f"below {origin.home}"
            if isinstance(told, DiskFull):  # nothing is kept where there is no room
                gone = rf"(?:below )?{gone}[^\s:]*"
            else:
                kept = str(_keep_failure(root, origin.home / "failed"))
            if told is None:
                raise
            # It may name a report there.
            told.args = tuple(re.sub(gone, lambda _: kept, str(line)) for line in told.args)
            raise told from None
        finally:
            shutil.rmtree(root, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _make(root: Path, origin: Origin, commit: str, runner: Runner, cache: Path) -> Workspace:
    # Without tags: there may be thousands, and whoever needs them reads the registry's mirror. And without a log of its
    # branches: it says who works here and, where git was not told, asks the name server for this host. Nor with hooks
    # that the user has for repositories of his own.
    settings = ("--config", "core.logAllRefUpdates=false", "--config", "core.hooksPath=/dev/null")
    options = ("--quiet", "--no-checkout", "--no-tags", "--template=", *settings, *programs.copying(origin))
    programs.git(origin, runner, root.parent, "clone", *options, origin.address, str(root))
    workspace = Workspace(root, origin, runner, cache)
    try:
        if not workspace.has(commit):  # a version may stand beside the branch
            workspace.git("fetch", "--quiet", "--no-tags", "origin", commit)
    except CommandFailed:
        raise GitError(
            f"{origin.address} has no commit {commit[:12]}: push it there first, by "
            f"`git push {origin.address} HEAD:{origin.branch}` if it is the checkout's"
        ) from None
    # Line ends stay as they were committed, whatever the user's settings or .gitattributes say: DVC counts them.
    (root / ".git" / "info").mkdir()
    write_text(root / ".git" / "info" / "attributes", "* -text\n")
    workspace.git("checkout", "--quiet", "-B", origin.branch, commit)
    dvc_settings.write(root, origin.remote, cache)
    dvc_store.sweep_runs(cache)
    return workspace


def _sweep(folder: Path) -> None:
    for path in folder.glob("*.lock"):
        try:
            with path.open("r+") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):
            continue
    # What a command wrote that outlived its clone; a clone has its lock before it has a folder.
    for path in folder.iterdir():
        if path.is_dir() and not Path(f"{path}.lock").exists():
            shutil.rmtree(path, ignore_errors=True)


def _keep_failure(root: Path, folder: Path) -> Path:
    """Move the clone in among the last failures; return where it is then."""
    kept = folder / root.name
    if not root.exists():
        return kept
    shutil.rmtree(root / ".dvc" / "tmp", ignore_errors=True)  # DVC's own notes, of the remote's settings among others
    config = root / ".dvc" / "config.local"
    if config.exists():
        write_text(config, redact(config.read_text(encoding="utf-8")))
    close(root)  # a push, or the stage itself, may have made files under another umask
    private_folder(folder)
    root.rename(kept)
    with contextlib.suppress(FileNotFoundError):  # another task tidies up at the same time
        for old in sorted(folder.iterdir(), key=os.path.getmtime)[:-KEPT_FAILURES]:
            shutil.rmtree(old, ignore_errors=True)
    return kept
