"""The git origin and DVC remote of one machine, in one ignored folder of the checkout: `.luodi`."""

import os
import random
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from luodi.errors import NotARepository, PushRejected, RegistryError, SourceMismatch
from luodi.files import private_folder, replacing_folder, write_text
from luodi.local import arrived, checkout
from luodi.project import commits, data_pointer, locks, programs, workspace
from luodi.project.origin import Origin
from luodi.registry import last_judged, tag_objects, tags
from luodi.registry.last_judged import Judged
from luodi.registry.tags import Version
from luodi.system import progress
from luodi.system.processes import CommandFailed, Runner

ATTEMPTS = 20  # to move the branch while others do
PAUSE = 0.2  # seconds between them, at most
ARCHIVES = "refs/luodi/archives"  # of the origin: by the id of their tree, the commits of unpacked archives
BOT = {"NAME": "luodi", "EMAIL": "luodi@localhost"}


def require_own_versions(root: Path, models: Iterable[str]) -> None:
    """Raise RegistryError where the checkout has versions of a model, and the embedded origin, made or not, has none.

    As in a clone: what landed here would be compared with none of them, and take the name of the first.
    """
    known = Path(Origin.embedded(root).git)
    for model in models if (root / ".git").exists() else ():
        here = [name.tag for name in tag_objects.of_model(root, model) if name.number]
        if here and not (known.is_dir() and any(name.number for name in tag_objects.of_model(known, model))):
            raise RegistryError(
                f"{here[-1]} landed elsewhere: this checkout has its tag, and the registry of this machine, {known}, "
                f"no version of {model} to compare another with; make it by `dvc repro` and land it by `luodi register "
                f"{model}` with LUODI_GIT_URL set to the git repository that its versions land in, and "
                "LUODI_DVC_REMOTE to the remote that has them (`luodi run --dry-run` lands nothing), or begin anew: "
                f"`git tag -d $(git tag -l {shlex.quote(f'{model}[@#]*')})`"
            )


def prepare(root: Path, runner: Runner, *, committed: bool = True) -> tuple[Origin, str]:
    """Make the embedded origin, and bring it the commit of the checkout, or of an unpacked archive, and its data.

    No branch moves: that is `advance`. Returns the origin and the commit; arguments and errors as of `bring`.
    """
    origin, commit = bring(root, runner, committed=committed)
    seed(root, origin, commit, runner)
    return origin, commit


def bring(root: Path, runner: Runner, *, committed: bool = True) -> tuple[Origin, str]:
    """Make the embedded origin and bring it the commit, as `prepare` does, before `seed` brings the data.

    Args:
        committed: Whether all files have to be as the commit has them; else they become one, under no name.

    Raises:
        DirtyCheckout: A tracked file has changes that no commit holds.
        SourceMismatch: data/ is not what data.dvc records.
    """
    origin, history = Origin.embedded(root), checkout.has_history(root, runner)
    if history and committed:
        checkout.clean_commit(root, runner)  # before anything is made
    private_folder(origin.home)
    if not (origin.home / ".gitignore").exists():  # whether or not the project ignores this folder
        write_text(origin.home / ".gitignore", "*\n")
    if not Path(origin.git).is_dir():
        with replacing_folder(Path(origin.git)) as folder:
            runner.run("git", "init", "--quiet", "--bare", "--template=", "-b", origin.branch, str(folder), cwd=root)
    tags.set_aside(origin)
    # Whoever writes there, under whatever umask. Not by `init --shared`: that would refuse a push that is forced.
    _share(origin, runner)
    checkout.connect(root, origin)
    commit = _bring_commit(root, origin, runner, committed) if history else _commit_archive(root, origin, runner)
    if history:
        _share_large_files(root, origin, runner)
    data_pointer.verify(root / "data", root / "data.dvc")
    return origin, commit


def seed(root: Path, origin: Origin, commit: str, runner: Runner) -> None:
    """Put data/, which `bring` has verified, into the DVC remote unless it is there.

    Raises:
        SourceMismatch: It changed since.
    """
    if seeded(root, origin):
        return
    with workspace.clone(origin, commit, runner) as clone:
        shutil.copytree(root / "data", clone.root / "data")
        pointer = clone.root / "data.dvc"
        pointer.unlink()  # what `dvc import` wrote there DVC would push to no remote
        clone.dvc("add", "data", ";", "push", pointer.name)
        if data_pointer.recorded(pointer) != data_pointer.recorded(root / pointer.name):
            raise SourceMismatch(f"{root / 'data'} changed while it was read: run it again")


def seeded(root: Path, origin: Origin) -> bool:
    """Whether the DVC remote holds data/ as the checkout records it; of what it does not hold, nothing landed."""
    checksum = data_pointer.recorded(root / "data.dvc")
    return Path(origin.remote or "", "files", "md5", checksum[:2], checksum[2:]).exists()


def advance(origin: Origin, commit: str, runner: Runner) -> str:
    """Move the origin's branch to what a run of `commit` reads, and return that: its files, and what landed.

    Raises:
        PushRejected: The branch was moved by others at each of the attempts, or git holds it locked.
    """
    git = partial(_git, origin, runner)
    branch = f"refs/heads/{origin.branch}"
    for _ in range(ATTEMPTS):
        before = git("for-each-ref", "--format=%(objectname)", branch).strip()
        after = _joined(git, Path(origin.remote or ""), commit, before) if before else commit
        if after == before:
            return after
        try:
            git("update-ref", branch, after, before)  # unless it is another by now
            return after
        except CommandFailed as error:
            locked = "File exists" in error.output
            time.sleep(random.uniform(0, PAUSE))  # noqa: S311, no secret
    why = f"; if no git is at work there, remove {origin.git}/{branch}.lock" if locked else ""
    raise PushRejected(f"{origin.git} did not move {origin.branch} in {ATTEMPTS} attempts: run it again{why}")


def _joined(git: commits.Git, store: Path, commit: str, before: str) -> str:
    """Return a commit with the files of `commit`, what landed and came in up to `before`, and both in its history.

    Never by a merge: that would unite what was reverted, amended or left behind with what is there now.
    """
    own, landed = commits.entries(git, commit), commits.entries(git, before)
    if commits.contains(git, before, commit) and commits.same_files(git, before, commit):
        return before
    came = arrived.missing(git, store, commit, before)
    arrived.require_nothing_forgotten(git, store, commit, came)
    if not came and commits.contains(git, commit, before) and own | landed == own:
        return commit
    pointer = {arrived.POINTER: arrived.with_files(git, store, commit, came)} if came else {}
    after = commits.with_entries(
        git, commit, own | landed, [before, commit], f"Run {commit[:12]} on what landed", more=pointer
    )
    if came and commits.same_files(git, before, after) and commits.contains(git, before, commit):
        return before  # which has all of it
    if came:
        progress.tell(f"{len(came):,} files of rows came in that this checkout does not have: `luodi sync` brings them")
    return after


def publish(root: Path, model: str, runner: Runner, *, landing: bool) -> tuple[Origin, str]:
    """Push the model's outputs in the checkout to the DVC remote; return the origin and the commit that made them.

    The embedded origin gets the commit too, and if the model is to land, its branch moves there. What only is to be
    judged may be of files that no commit holds, where no other origin is used: `dvc exp run` leaves them so.

    Raises:
        DirtyCheckout: The commit is not what made the outputs.
        SourceMismatch: data/ is not what data.dvc of the commit records.
        GitError: Your own git origin lacks the commit.
        RegistryError: Versions of the model that the checkout has landed elsewhere.
        RemoteError: The DVC remote cannot be used.
    """
    entries = locks.of_model(locks.read(root / "dvc.lock"), model)
    if os.environ.get("LUODI_GIT_URL"):
        origin = Origin.from_environment()
        if not checkout.has_history(root, runner):
            raise NotARepository(f"{root} is no git repository: work in a clone of {origin.address} to land there")
        checkout.keep_state(root)
        commit = checkout.clean_commit(root, runner)
        if entries:
            data_pointer.verify(root / "data", root / "data.dvc")
    else:
        if landing:
            require_own_versions(root, [model])
        origin, commit = prepare(root, runner, committed=landing)
        commit = advance(origin, commit, runner) if landing else commit
    if entries:
        checkout.require_reproduced(root, sorted(entries), runner)
        # From a clone: the checkout's own DVC remote may be another one.
        cache = root / programs.dvc(runner, root, "cache", "dir").strip()
        with workspace.clone(origin, commit, runner, cache=cache) as clone:
            locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, entries))
            clone.dvc("push", *sorted(entries))
    return origin, commit


def nothing_new(origin: Origin, commit: str, model: str, runner: Runner) -> Judged | None:
    """Return what was judged last if a run of `commit` would do the same."""
    with workspace.clone(origin, commit, runner) as clone:
        subject = last_judged.of_clone(clone, model)
    return last_judged.nothing_new(origin, model, subject, runner)


def find(origin: Origin, name: str | None, runner: Runner) -> Version | None:
    """Return the version named MODEL@NUMBER; None stays None."""
    if name is None:
        return None
    model, _, number = name.partition("@")
    return tags.find(tags.mirror(origin, runner), model, number)


def _share(origin: Origin, runner: Runner) -> None:
    """Set whom the origin's files are for; where that is done, git need not lock its settings against other runs."""
    name, mode = "core.sharedRepository", "0600"
    if _git(origin, runner, "config", "--default=", "--get", name).strip() != mode:
        _git(origin, runner, "config", name, mode)


def _bring_commit(root: Path, origin: Origin, runner: Runner, committed: bool) -> str:
    """Bring the checkout's commit into the origin's object store, under no name; return the commit."""
    commit = checkout.clean_commit(root, runner) if committed else _as_it_lies(root, runner)
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
    lazy = {"GIT_NO_LAZY_FETCH": "0"}  # of a partial clone: git would not give what it has to get first
    _git(origin, runner, "fetch", *options, str(root), commit, env=lazy)
    return commit


def _share_large_files(root: Path, origin: Origin, runner: Runner) -> None:
    """Let a clone of the origin find what Git LFS keeps beside the checkout's git, as if it had been pushed there."""
    kept = root / runner.run("git", "rev-parse", "--git-common-dir", cwd=root).strip() / "lfs" / "objects"
    link = Path(origin.git) / "lfs" / "objects"
    if kept.is_dir() and not (link.exists() and any(link.iterdir())):
        shutil.rmtree(link, ignore_errors=True)  # a clone that found nothing left it
        link.unlink(missing_ok=True)  # the checkout was moved
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(kept, link.parent))


def _as_it_lies(root: Path, runner: Runner) -> str:
    """Return a commit of the files as they lie in the checkout, under no name; its own commit where they are so.

    The same files give the same one.
    """
    with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
        env = {
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_INDEX_FILE": str(Path(folder) / "index"),
            **_identity(date="@0 +0000"),
        }
        git = partial(runner.run, "git", cwd=root, env=env)
        head = checkout.head(root, git)
        git("read-tree", head)
        git("add", "--all", "--", ".", ":!dvc.lock")
        tree = git("write-tree").strip()
        if tree == git("rev-parse", f"{head}^{{tree}}").strip():
            return head
        return git("commit-tree", tree, f"-p{head}", "-m", f"As it lies on {head[:12]}").strip()


def _commit_archive(root: Path, origin: Origin, runner: Runner) -> str:
    """An unpacked archive has no history: its files become a commit in the origin, once."""
    with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_WORK_TREE": str(root), "GIT_DIR": origin.git}
        runner.run("git", "-c", "core.bare=false", "add", "--all", cwd=root, env=env)
        tree = runner.run("git", "write-tree", cwd=root, env=env).strip()
    git, name = partial(_git, origin, runner), f"{ARCHIVES}/{tree}"
    if not git("for-each-ref", name):
        git("update-ref", name, git("commit-tree", tree, "-m", "Source archive").strip())
    return git("rev-parse", name).strip()


def _git(origin: Origin, runner: Runner, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git in the embedded origin, as nobody in particular, who has no key to sign by."""
    command = ("-c", "commit.gpgSign=false", *arguments)
    return programs.git(origin, runner, Path(origin.git), *command, env={**_identity(), **(env or {})})


def _identity(**others: str) -> dict[str, str]:
    parts = BOT | {name.upper(): value for name, value in others.items()}
    return {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in parts.items()}
