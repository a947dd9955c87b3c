"""The private clone that a task works in, thrown away after: a git commit and lock entries in, lock entries out."""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
import sys
import tempfile
import time
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
    DirtyCheckout,
    DiskFull,
    GitError,
    LuodiError,
    RegistryError,
    RemoteError,
    StageFailed,
)
from luodi.files import checksum, close, folder_checksum, private, private_folder, read_json, users_umask, write_text
from luodi.project import graph, locks, standing
from luodi.project.origin import Origin
from luodi.project.paths import PARAMS, ModelPaths
from luodi.system import disk, masking
from luodi.system.masking import redact
from luodi.system.processes import MARK, CommandFailed, Runner, of_another

KILLED_BY_DISK = {-7, 135, -25, 153}
"""Exit codes of a process, and of a shell around it, that SIGBUS (a file in memory has no room) or SIGXFSZ ended."""

UNREACHABLE = re.compile(
    r"Could not read from remote|unable to (access|connect)|does not appear to be a git|could not read Username"
    r"|Authentication failed|repository '.*' (does not exist|not found)|'remote-\S+' is not a git command"
    r"|protocol '.*' is not supported|transport '.*' not allowed"
)
DAMAGED = re.compile("expected flush after ref listing|repository corruption on the remote side")
"""What git says when that of the origin ended where it lists its refs, or gives what they name."""
UNSIGNED = re.compile(r"failed to sign the data|user\.signingkey|load public key", re.IGNORECASE)
"""What git says when it cannot sign a commit, by any of the programs that it signs by."""

TRANSFER = re.compile(r"^ERROR: (?:failed to transfer '\w+' - )?")

NOWHERE = re.compile(r"do not exist neither locally nor on remote|^md5: \w{32}", re.MULTILINE)
"""What `dvc push` warns of, a line for each file, and goes well."""

KEPT_FAILURES = 3  # clones of failed tasks kept for a look, oldest dropped first
SITE = ".dvc/tmp/site"  # of a checkout or clone: where its DVC keeps its state
FILLED = 10  # seconds within which DVC fills a folder that it made

CONFIG = """\
[core]
    analytics = false
    check_update = false
    site_cache_dir = {site}
{default}
[cache]
    dir = {cache}
"""
REMOTE = """\
    remote = luodi
['remote "luodi"']
    url = {url}
    verify = true
"""
VERIFIED = """\
['remote "{name}"']
    verify = true
"""
"""A file that was damaged in the remote must not get into the cache: there it would stay when the remote is mended."""


MEND = "run the stages again, or `dvc push` from a checkout that has it"


class Absent(RemoteError):
    """DVC did not get what dvc.lock records; `names` are the paths and MD5s that it named."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(f"the DVC remote cannot be used: it does not hold {', '.join(sorted(names))}")
        self.names = names


def own_site(root: Path) -> Path:
    """Return the folder in a checkout or clone where DVC keeps its state; nobody else can write to it.

    DVC loads pickles from there. By default it is one that all users of the machine share, and it lets them all write.
    """
    site = root / SITE
    (site / "repo").mkdir(parents=True, exist_ok=True)  # DVC would make it for everybody, whatever the umask
    site.chmod(0o700)
    return site


def quoted(value: str | Path) -> str:
    """Return `value` as DVC's settings must hold it: bare, a comma would make a list, a # end it.

    Raises:
        LuodiError: They cannot hold it, whatever the quotes.
    """
    text = str(value)
    quotes = [mark for mark in ('"', "'", "'''", '"""') if mark not in text]
    # DVC fills in %(NAME)s itself and knows no escape for it.
    if not quotes or text.splitlines() != [text] or re.search(r"%\([^)]*\)s", text):
        raise LuodiError(
            f"DVC's settings cannot hold {redact(text)!r}: expected a path or URL on one line, without %(...)s and "
            "without both kinds of triple quotes; choose another one"
        )
    return f"{quotes[0]}{text}{quotes[0]}"


def dvc(
    runner: Runner, root: Path, *arguments: str, stream: bool = False, umask: int = -1, home: Path | None = None
) -> str:
    """Run dvc in the checkout `root`; raise errors of ours. What a stage keeps for its next try goes to `home`."""
    masking.learn_settings(root / ".dvc" / "config", root / ".dvc" / "config.local")
    environment = {
        "PATH": _path(),
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "1",
        **({"LUODI_HOME": str(home)} if home else {}),
    }
    command = (sys.executable, "-P", standing.SCRIPT)
    try:
        return runner.run(*command, *arguments, cwd=root, env=environment, stream=stream, umask=umask)
    except CommandFailed as error:
        raise _explain(error, root) from None


def _path() -> str:
    """PATH, on which the commands of this Python stand first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def place(store: str | Path, md5: str) -> str:
    """Where a DVC cache or remote keeps a file."""
    return f"{store}/files/md5/{md5[:2]}/{md5[2:]}"


def _removal(url: str, places: list[str]) -> str:
    """The commands that remove files from a DVC remote; where only its owner knows them, their addresses."""
    quoted = [shlex.quote(redact(place)) for place in places]
    if "://" not in url:
        return f"`rm -f {' '.join(quoted)}`"
    return ", ".join(f"`aws s3 rm {place}`" if url.startswith("s3:") else place for place in quoted)


def lacks(store: Path, md5: str) -> bool:
    """Whether a DVC cache or remote lacks a file, or the list of a folder, or holds it damaged."""
    path = Path(place(store, md5))
    return not path.exists() or checksum(path) != md5.removesuffix(".dir")


def _bad(cache: Path, md5: str) -> list[str]:
    """MD5s of what a DVC cache lacks or holds damaged of an output; of files in a folder, the folder's list too."""
    if lacks(cache, md5):
        return [md5]
    files = {file for file, _ in _files(cache, md5)} - {md5}
    bad = [file for file in sorted(files) if _bad(cache, file)]
    return [*bad, md5] if bad else []


def _files(store: Path, md5: str) -> list[tuple[str, str]]:
    """(MD5, path below it) of the files of an output whose list, if it is a folder, a DVC cache or remote holds."""
    if not md5.endswith(".dir"):
        return [(md5, "")]
    return [(file["md5"], file["relpath"]) for file in read_json(Path(place(store, md5)))]


def recorded(stores: Sequence[Path], md5: str, folder: str) -> dict[str, str] | None:
    """Return path below `folder` (data/MODEL) -> MD5 of what data/ of that MD5 holds; None if no store has its list."""
    inside = f"{folder.removeprefix('data/')}/"
    for store in stores:
        if not lacks(store, md5):
            files = {path: one for one, path in _files(store, md5)}
            return {path.removeprefix(inside): one for path, one in files.items() if path.startswith(inside)}
    return None


def _held(store: Path, md5: str) -> bool:
    """Whether a DVC cache or remote has all files of an output, by their names; a folder's list is read."""
    if not Path(place(store, md5)).exists() or (md5.endswith(".dir") and lacks(store, md5)):
        return False
    return all(Path(place(store, file)).exists() for file, _ in _files(store, md5))


def head(origin: Origin, runner: Runner) -> str:
    """Return the commit that the origin's branch points to.

    Raises:
        RemoteError: The repository cannot be reached.
        GitError: It has no such branch.
    """
    ref = f"refs/heads/{origin.branch}"
    output = git(origin, runner, Path.home(), "ls-remote", origin.address, ref)
    if not output.strip():
        raise _no_branch(origin)
    return output.split()[0]


def _no_branch(origin: Origin) -> GitError:
    return GitError(
        f"{origin.address} has no branch {origin.branch}: push one, by "
        f"`git push {origin.address} HEAD:{origin.branch}`, or set LUODI_GIT_BRANCH"
    )


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
        return git(self.origin, self.runner, self.root, *arguments, env=env)

    def dvc(self, *arguments: str, stream: bool = False, mend: str = MEND) -> str:
        """Run dvc in the clone. What it lacks is named, and how to `mend` it."""
        umask = _umask(self.origin, self.origin.remote, *arguments)
        try:
            return dvc(self.runner, self.root, *arguments, stream=stream, umask=umask, home=self.origin.home)
        except Absent as error:
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
        if _umask(self.origin, self.origin.remote, *push) == -1:
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
        environment = {"PATH": _path(), "PYTHONUNBUFFERED": "1", "LUODI_HOME": str(self.origin.home)}
        try:
            self.runner.run(*command, cwd=self.root, env=environment, stream=True)
        except CommandFailed as error:
            raise _explain_stage(" ".join(command), error.code, error.output, self.root) from None

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
        if away := [path for path in paths if not self._copied(path, known.get(path), self.cache)]:
            self.dvc("pull", *away, mend=mend)
            self._check(*away)

    def pull_rows(self, model: str) -> None:
        """Bring what data.dvc records of a model, and of no other; nothing where that is nothing. Raises as `pull`."""
        folder = f"data/{model}"
        found = self.recorded(folder)
        if any(lacks(self.cache, md5) for md5 in found.values()):
            self.dvc("pull", folder)
        for path, md5 in found.items():
            to = self.root / folder / path
            to.parent.mkdir(parents=True, exist_ok=True)
            if not to.exists():
                shutil.copyfile(place(self.cache, md5), to)

    def recorded(self, folder: str) -> dict[str, str]:
        """Return path below `folder` -> MD5 of what data.dvc records there; none of it need be here.

        Raises:
            RemoteError: The list is in no cache here, and the DVC remote does not give it.
        """
        if not (md5 := self._outputs().get("data")):
            return {}
        stores = [self.cache, *([Path(self.origin.remote)] if self.origin.remote else [])]
        if (found := recorded(stores, md5, folder)) is None:
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
            found = self.root / path
            if path in paths and (folder_checksum(found) if found.is_dir() else checksum(found)) != md5:
                bad = " ".join(shlex.quote(str(place(self.cache, one))) for one in _bad(self.cache, md5))
                why = (
                    f"its files were changed in the DVC cache; remove them with `rm -f {bad}`, and"
                    if bad
                    else "it did not come whole;"
                )
                raise RegistryError(f"{path} does not match its hash {md5} in dvc.lock: {why} run it again")

    def _proven(self, outs: Sequence[str], paths: Sequence[str]) -> bool:
        """Whether the remote is a folder here that holds `outs`, of which `paths` were copied; else DVC tells more."""
        store, known = Path(self.origin.remote or ""), self._outputs()
        if not (self.origin.remote and store.is_dir() and all(_held(store, known[path]) for path in outs)):
            return False
        return all(self._copied(path, known.get(path), store) for path in paths)

    def _copied(self, path: str, md5: str | None, store: Path) -> bool:
        """Copy an output from a cache, or folder remote, that holds it unharmed: to start DVC for that takes longer."""
        target = self.root / path
        if md5 is None or target.exists() or _bad(store, md5):
            return False
        if md5.endswith(".dir"):
            target.mkdir(parents=True)  # it may be empty
        for file, relative in _files(store, md5):
            to = target / relative
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place(store, file), to)
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
        bad = {path: _bad(store, md5) for path, md5 in self._outputs().items()}
        lost = {
            path: md5s
            for path, md5s in bad.items()
            if md5s and (names & {path, *md5s} or any(name.startswith(f"{path}/") for name in names))
        }
        what = f"it cannot be reached, or does not hold {', '.join(lost or sorted(names))} as dvc.lock records it"
        if places := [place(url, md5) for md5 in dict.fromkeys(md5 for found in lost.values() for md5 in found)]:
            mend = (
                "`dvc push` alone does not mend it, first remove there what is damaged or not whole: "
                f"{_removal(url, places)}; then {mend}"
            )
        return RemoteError(f"the DVC remote cannot be used: {what}; {mend}")

    def _remote(self) -> str:
        """URL or path of the DVC remote."""
        if self.origin.remote:
            return self.origin.remote
        name = _default_remote(self.root)
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
    options = ("--quiet", "--no-checkout", "--no-tags", "--template=", *settings, *copying(origin))
    git(origin, runner, root.parent, "clone", *options, origin.address, str(root))
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
    default = REMOTE.format(url=quoted(origin.remote)) if origin.remote else ""
    config = CONFIG.format(site=quoted(own_site(root)), default=default, cache=quoted(cache))
    verified = VERIFIED.format(name=name) if not origin.remote and (name := _default_remote(root)) else ""
    write_text(root / ".dvc" / "config.local", config + verified)
    sweep_runs(cache)
    return workspace


def copying(origin: Origin) -> tuple[str, ...]:
    """Options of `git clone` by which no file of a team's repository is linked into this user's private folder."""
    return () if Path(origin.git).is_relative_to(origin.home) else ("--no-hardlinks",)


def _default_remote(root: Path) -> str | None:
    """The name of the DVC remote that the project's own settings make the default."""
    path = root / ".dvc" / "config"
    found = re.search(r"^\s*remote\s*=\s*(.+?)\s*$", path.read_text(encoding="utf-8") if path.exists() else "", re.M)
    return found[1].strip("\"'") if found else None


def sweep_runs(cache: Path) -> None:
    """Remove what DVC left empty in its cache of runs, killed before it filled it: there it would fail from then on."""
    for folder in (cache / "runs").glob("*/*"):
        with contextlib.suppress(OSError):  # it is filled, or somebody else removed it
            if time.time() - folder.stat().st_mtime > FILLED:
                folder.rmdir()


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


def git(origin: Origin, runner: Runner, cwd: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git in `cwd`. Raises RemoteError or GitError if the origin cannot be used, DiskFull, else CommandFailed."""
    environment = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **origin.credentials()}
    try:
        umask = _umask(origin, origin.git, *arguments)
        return runner.run("git", *arguments, cwd=cwd, env={**environment, **(env or {})}, umask=umask)
    except CommandFailed as error:
        told = _explain_git(origin, error, cwd)
        if isinstance(told, DiskFull) and cwd.is_relative_to(origin.home):
            _sweep_objects(cwd)
        raise told from None


def _sweep_objects(repository: Path) -> None:
    """Remove what git had begun to write when the disk was full; it would leave that for two weeks."""
    for left in (repository / "objects").rglob("tmp_*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _umask(origin: Origin, target: str | None, *arguments: str) -> int:
    """The umask for a command: what is pushed to a repository or folder of a team's is for others to read."""
    shared = arguments[0] == "push" and not (target and Path(target).is_relative_to(origin.home))
    return users_umask() if shared else -1


def _explain_git(origin: Origin, error: CommandFailed, cwd: Path) -> LuodiError:
    """Turn what git printed into an error of ours."""
    if told := disk.full_in(error.output, cwd):
        return told
    for line in error.output.splitlines():
        if UNREACHABLE.search(line):
            return RemoteError(
                f"git origin {origin.address} cannot be reached: {MARK.sub('', line).rstrip('.')}: "
                "see that LUODI_GIT_URL names it, and that you may read and write it"
            )
    return _of_origin(origin, error.output) or disk.refused_in(error.output) or _unless_full(error, cwd, origin.home)


def _of_origin(origin: Origin, output: str) -> GitError | None:
    """What is to be done at the origin, or with what it holds, by what git printed; None if it is not that."""
    if told := of_another(output):
        return told
    if f"couldn't find remote ref {origin.branch}\n" in f"{output}\n":  # it was there when the run began
        return _no_branch(origin)
    if "smudge filter lfs failed" in output:
        lost = next(line for line in output.splitlines() if "rror" in line or "lfs" in line)
        return GitError(
            f"git origin {origin.address} does not give what Git LFS keeps beside it: {lost}; see that git-lfs is "
            "installed; run `git lfs fetch --all` in the checkout, and to an origin of your own `git lfs push --all`"
        )
    if UNSIGNED.search(output):
        reason = MARK.sub("", output.strip().partition("\n")[0])
        return GitError(
            f"git cannot sign the commit of what lands, as commit.gpgSign asks for: {reason}; see that `git commit "
            "--allow-empty --gpg-sign -m test` works here and asks nothing, or run `git config --global commit.gpgSign "
            "false`"
        )
    if DAMAGED.search(output):
        return GitError(f"git origin {origin.address} cannot be read: run `git fsck` there, and mend it")
    return None


def _unless_full(error: LuodiError, *folders: Path) -> LuodiError:
    """Return `error`, or that of a full disk: git and DVC often do not say that it was one. Silence is an answer."""
    if isinstance(error, CommandFailed) and not error.output.strip():
        return error
    return disk.probe(*folders, Path(tempfile.gettempdir())) or error


def _explain(error: CommandFailed, root: Path) -> LuodiError:
    """Turn what dvc printed into an error of ours."""
    if match := re.search(r"failed to run: (.+?), exited with (-?\d+)", error.output):
        return _explain_stage(match[1], int(match[2]), error.output, root)
    if full := disk.full_in(error.output, root):
        return full
    if match := UNSAVED.search(error.output):
        files = [path.removeprefix(f"{root}/") for path in match[1].splitlines()]
        return DirtyCheckout(
            f"what DVC brings would take the place of what it has not stored ({len(files):,}), as a stage run by hand "
            f"leaves it: {', '.join(files[:5])}; move away what you want to keep, remove the others, and run it again"
        )
    if names := _lost(error.output, root):
        return _unless_full(Absent(names), root)
    if told := disk.refused_in(error.output):
        return told
    reason, *more = _why_unusable(error.output)
    lost = RemoteError(f"the DVC remote cannot be used: {reason}", *more) if reason else error
    return _unless_full(lost, root)


UNSAVED = re.compile(r"Can't remove the following unsaved files without confirmation.*\n((?:/.+(?:\n|$))+)")


def _explain_stage(command: str, code: int, output: str, root: Path) -> LuodiError:
    # What the stage said last, from its error to what DVC adds.
    said = re.search(r"^error: .*?(?=^ERROR: |\Z)", output, re.MULTILINE | re.DOTALL)
    lines = said[0].rstrip().splitlines() if said else []
    if code == DiskFull.exit_code and lines:
        return DiskFull(f"`{command}`: {lines[0].removeprefix('error: ')}")
    failure = StageFailed(f"`{command}` ended with exit code {code}", *lines, code=code)
    return disk.full_in(output, root) or (_unless_full(failure, root) if code in KILLED_BY_DISK else failure)


def _why_unusable(output: str) -> list[str]:
    """Why dvc cannot use its remote, and what to do, in lines; an empty one if something else is wrong."""
    if match := re.search("Host key is not trusted for host .*", output):
        return [f"{match[0]}: put its key, checked, into ~/.ssh/known_hosts"]
    if match := re.search(r"requires '(dvc-\w+)' to be installed", output):
        command = f"uv pip install --constraint docker/requirements-worker.txt {match[1]}"
        return [f"{match[1]} is not installed: run `{command}`"]
    if not re.search(r"failed to (pull|push|fetch|transfer)|Everything is up to date|remote|upload|download", output):
        return [""]
    said = re.search(r"^ERROR: .*", output, re.MULTILINE | re.DOTALL)
    lines = redact((said[0] if said else output).strip()).splitlines()
    return [
        *dict.fromkeys(TRANSFER.sub("", line) for line in lines),  # it says the same of every file
        "see that it is there, that LUODI_DVC_REMOTE or .dvc/config names it, and that you may read and write it",
    ]


def _lost(output: str, root: Path) -> set[str]:
    """The paths and MD5s that dvc says it did not get."""
    checkout = re.search(r"Checkout failed for following targets:\n((?:.+\n)+)Is your cache", output)
    paths = checkout[1].splitlines() if checkout else []
    gone = re.findall(r"failed to transfer '(\w+)' - \[Errno 2\]", output)
    return {*gone, *(path.removeprefix(f"{root}/") for path in paths)}
