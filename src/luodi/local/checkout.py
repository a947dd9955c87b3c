"""The checkout that a person works in: its git, its DVC, and what was made in it."""

import json
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from luodi import config
from luodi.compression import latency
from luodi.config import locked
from luodi.errors import ArtifactError, DirtyCheckout, GitError, LuodiError, NotARepository
from luodi.files import checksum, close, private, read_facts, replacing, write_text
from luodi.project import commits, dvc_settings, dvc_store, graph, locks, programs
from luodi.project.origin import Origin
from luodi.project.paths import PARAMS, ModelPaths
from luodi.registry import tags
from luodi.registry.tags import Version
from luodi.system.processes import CommandFailed, Runner
from luodi.terminal import shown

CONFIG = """\
[core]
    analytics = false
    check_update = false
{scm}    remote = luodi
[cache]
    dir = {cache}
['remote "luodi"']
    url = {remote}
"""
SETTINGS = "settings"
"""The stage that writes params.lock, of no model: its entry lands with none."""
CORE = re.compile(r"^[ \t]*\[[ \t]*(['\"]?)core\1[ \t]*\].*$", re.MULTILINE | re.IGNORECASE)


def connect(root: Path, origin: Origin) -> None:
    """Point DVC in the checkout to the embedded cache and remote, unless it has local settings of its own; tidy it up.

    By relative paths: the checkout may be moved. `dvc get ORIGIN PATH --rev VERSION` and its kin are pointed there too.
    What lies there is for this user alone, whatever umask a `dvc` of the user's own wrote it under.
    """
    close(origin.home)
    local, bare = root / ".dvc" / "config.local", Path(origin.git)
    if _settings(local) in ("", f"[core]\n{_state(root)}\n"):
        scm = "" if (root / ".git").exists() else "    no_scm = true\n"
        home = Path("..") / origin.home.relative_to(root)
        cache, remote = dvc_settings.quoted(home / "cache"), dvc_settings.quoted(home / "remote")
        with private():
            _take_over(root, origin.home / "cache")
            write_text(local, CONFIG.format(scm=scm, cache=cache, remote=remote))
    keep_state(root)
    close(local)  # it may hold the password of a remote
    if bare.is_dir():
        # The remote, as a cache: of that DVC tells whoever reads this repository; of a remote it tells half.
        with private():
            write_text(
                bare / ".dvc" / "config", f"[cache]\n    dir = {dvc_settings.quoted(Path('..', '..', 'remote'))}\n"
            )
    dvc_store.sweep_runs(origin.home / "cache")


def _take_over(root: Path, new: Path) -> None:
    """Move what `dvc repro` put into DVC's own cache before there was another: elsewhere DVC would not find it.

    Not what a link leads to, which others may share, nor what files of the checkout are links to.
    """
    old = root / ".dvc" / "cache"
    if not old.is_dir() or old.is_symlink() or "symlink" in str(_section(root, "cache").get("type")):
        return
    for path in old.rglob("*"):
        if path.is_file() and not (target := new / path.relative_to(old)).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def _section(root: Path, name: str) -> dict[str, Any]:
    """A section of DVC's settings in a checkout, those of the user and of the project together."""
    from dvc.config import Config, ConfigError

    folder = root / ".dvc"
    try:
        found: dict[str, Any] = Config(str(folder), validate=False)[name]
    except ConfigError as error:
        raise LuodiError(f"DVC cannot read its settings, {folder / 'config'}*: {error}; mend them") from None
    return found


def keep_state(root: Path) -> None:
    """Let DVC in the checkout keep its state in a folder of its own, unless its settings name one.

    By an absolute path: DVC takes a relative one from wherever it is run. It is mended when the checkout was moved.

    Raises:
        LuodiError: DVC cannot read its settings.
    """
    site, local = str(dvc_settings.own_site(root)), root / ".dvc" / "config.local"
    named = str(_section(root, "core").get("site_cache_dir", ""))
    if named == site or (named and not named.endswith(f"/{dvc_settings.SITE}")):
        return
    text = re.sub(r"^[ \t]*site_cache_dir[ \t]*=.*\n?", "", _settings(local), flags=re.MULTILINE)
    if not CORE.search(text):
        text = f"[core]\n{text}"
    with replacing(local) as temporary:
        temporary.write_text(CORE.sub(lambda head: f"{head[0]}\n{_state(root)}", text, count=1), encoding="utf-8")
        temporary.chmod(0o600)  # a remote's password may stand there


def _state(root: Path) -> str:
    return f"    site_cache_dir = {dvc_settings.quoted(root / dvc_settings.SITE)}"


def _settings(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def has_history(root: Path, runner: Runner) -> bool:
    """Whether the checkout is a git repository; an unpacked archive is none.

    Raises:
        NotARepository: It is a part of one: its files would run, committed or not.
    """
    if (root / ".git").exists():
        return True
    try:
        tracked = runner.run("git", "ls-files", "--", ".", cwd=root)
    except CommandFailed:
        return False  # no repository around it
    if tracked:
        raise NotARepository(
            f"{root} is tracked by a git repository above it: expected {PARAMS} at the top of its own repository; "
            "move the project there, or run luodi in a clone of it"
        )
    return False


def clean_commit(root: Path, runner: Runner) -> str:
    """Return the checkout's commit, of which luodi and DVC read the files.

    Raises:
        DirtyCheckout: Files are not as the commit has them, even such as the user's settings let git not look at.
        GitError: The repository is of a kind that luodi cannot clone from.
    """
    git = partial(runner.run, "git", cwd=root, env={"GIT_NO_REPLACE_OBJECTS": "1"})
    if changed := uncommitted(root, runner):
        raise DirtyCheckout(
            f"the checkout has changes that no commit holds ({', '.join(changed[:5])}): commit or stash them, new "
            "files too (`git stash --include-untracked`), and run it again; what no commit should hold, such as "
            "dvc_plots/, goes into .gitignore"
        )
    if hidden := _hidden(root, git):
        files = " ".join(map(shlex.quote, hidden[:5]))
        look = (f"git update-index --no-{flag} -- {files}" for flag in ("assume-unchanged", "skip-worktree"))
        raise DirtyCheckout(
            f"git is told not to look at {', '.join(hidden[:5])}, which may hold changes that no commit holds: "
            f"run `{' && '.join(look)}`, commit or stash what changed, and run it again"
        )
    return head(root, git)


def uncommitted(root: Path, runner: Runner) -> list[str]:
    """Return the files, new ones too, that are not as the commit has them, dvc.lock apart."""
    git = partial(runner.run, "git", cwd=root, env={"GIT_NO_REPLACE_OBJECTS": "1"})
    looking = ("--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=none")
    return [entry[3:] for entry in git("status", *looking, "--", ".", ":!dvc.lock").split("\0") if entry]


def head(root: Path, git: Callable[..., str]) -> str:
    """Return the commit of the checkout; raises GitError as `clean_commit` does."""
    commit = git("rev-parse", "HEAD").strip()
    if len(commit) != 40:  # letters
        raise GitError(f"{root} is a git repository of SHA-256 objects: expected SHA-1, git's default")
    return commit


def _hidden(root: Path, git: Callable[..., str]) -> list[str]:
    """Files that are here, and of which git takes for granted that they are as the commit has them."""
    listed = (entry.partition(" ") for entry in git("ls-files", "-v", "-z").split("\0"))
    return [name for tag, _, name in listed if (tag.islower() or tag == "S") and (root / name).exists()]


def require_reproduced(root: Path, stages: list[str], runner: Runner) -> None:
    """Raise DirtyCheckout where these stages would run again, and say of the first what differs."""
    changed = json.loads(programs.dvc(runner, root, "status", "--json", *stages).strip() or "{}")
    if changed:
        stage, found = next(iter(changed.items()))
        raise DirtyCheckout(
            f"dvc.lock is not of this commit and its data, of {stage} {_differing(found)} changed: "
            "run `dvc repro` first"
        )


def _differing(found: list[Any]) -> str:
    """What `dvc status` found of a stage: files, settings by their names, or the command."""
    files = [item for one in found if isinstance(one, dict) for of_kind in one.values() for item in of_kind.items()]
    names = [name for path, how in files for name in (how if isinstance(how, dict) else [path])]
    return ", ".join(shown(name, 80) for name in names[:3]) + ", …" * (len(names) > 3) if names else "the command"


def sync(root: Path, origin: Origin, version: Version, modality: str, runner: Runner) -> list[str]:
    """Bring the lock entries, files and tags of the version in production into the checkout; return the files' paths.

    The entries are the last that landed of it: the same model may have been evaluated again. Where DVC in the checkout
    knows no remote, it is pointed to that of the origin.

    Raises:
        DirtyCheckout: dvc.lock holds entries of the model that no commit has: they would be lost.
        GitError: A tag of this name is here, and is another one.
        RegistryError: A person or a newer luodi made the tag of the version.
        RemoteError: The DVC remote does not hold the files, or cannot be reached.
    """
    tags.require_readable(version)
    model, path, mirror = version.model, root / commits.LOCK, tags.mirror(origin, runner)
    landed, here = _landed(partial(programs.git, origin, runner, mirror), origin.branch, version), locks.read(path)
    if has_history(root, runner):
        committed = commits.entries(partial(runner.run, "git", cwd=root), "HEAD")
        mine = locks.of_model(here, model)
        if mine != locks.of_model(committed, model) and not _registered(mirror, mine, model):
            raise DirtyCheckout(
                f"{commits.LOCK} has entries of {model} that no commit holds: commit it, or restore it with `git "
                f"checkout HEAD -- {commits.LOCK}`, or remove it if no commit has it; and run it again"
            )
        _fetch_tags(root, origin, model, runner)
    locks.write(path, locks.merge(here, model, landed))
    graphed = graph.stages(root / "dvc.yaml", model, modality)
    known = {out for stage in graphed.values() for out in stage["outs"]}
    paths = [out for stage in landed for out in locks.outputs(landed, stage) if out in known]
    if origin.remote and not _section(root, "core").get("remote"):
        programs.dvc(runner, root, "remote", "add", "--quiet", "--local", "--default", "luodi", origin.remote)
        close(root / ".dvc" / "config.local")
    recorded = [] if _settings_recorded(root) else ["commit", "--quiet", "--force", SETTINGS, ";"]
    programs.dvc(runner, root, *recorded, "pull", *paths)
    return paths


def _settings_recorded(root: Path) -> bool:
    """Whether dvc.lock need not learn that params.lock is what params.yaml gives: it does, or that is not so."""
    entry = locks.read(root / commits.LOCK).get(SETTINGS, {})
    known = {one["path"]: one["md5"] for one in (*entry.get("deps", ()), *entry.get("outs", ()))}
    same = all(checksum(root / path) == md5 for path, md5 in known.items())
    return bool(known and same) or not graph.has(root / "dvc.yaml", SETTINGS) or not locked.current(root)


def _registered(mirror: Path, entries: locks.Entries, model: str) -> bool:
    """Whether lock entries are of a model in the registry, or of none: nothing is lost with them."""
    if not entries:
        return True
    try:
        return tags.same(tags.versions(mirror, model), tags.export_hash(entries, model)) is not None
    except KeyError:
        return False


def _landed(git: commits.Git, branch: str, version: Version) -> locks.Entries:
    newest = locks.of_model(commits.entries(git, f"refs/heads/{branch}"), version.model)
    if newest and tags.export_hash(newest, version.model) == version.export:
        return newest
    return locks.of_model(commits.entries(git, version.commit), version.model)


def _fetch_tags(root: Path, origin: Origin, model: str, runner: Runner) -> None:
    refs = [f"refs/tags/{model}{mark}*" for mark in "@#"]
    try:
        programs.git(origin, runner, root, "fetch", "--no-tags", "--no-write-fetch-head", origin.address,
                      *(f"{ref}:{ref}" for ref in refs))  # fmt: skip
    except CommandFailed as error:
        if found := re.search(r"! \[rejected\] +(\S+) .*would clobber existing tag", error.output):
            raise GitError(
                f"the tag {found[1]} of this checkout is not that of {origin.address}: remove it with "
                f"`git tag -d {shlex.quote(found[1])}`, and run it again"
            ) from None
        raise


def who(root: Path, runner: Runner) -> str:
    """Return name and mail of the person at work in the checkout, as `commits.identity` does."""
    return commits.identity(partial(runner.run, "git", cwd=root), "AUTHOR")


def training(root: Path, model: str) -> dict[str, Any] | None:
    """Return what was measured of time in the checkout; None if what lies there was not made there."""
    paths = ModelPaths(root, model)
    entries = locks.of_model(locks.read(root / "dvc.lock"), model)
    of_candidates = latency.read(paths) if paths.export == paths.compressed else {}
    if not paths.cost.exists() or f"train@{model}" not in entries:
        return of_candidates or None
    cost: dict[str, Any] = read_facts(paths.cost)
    made = locks.outputs(entries, f"train@{model}")[ModelPaths(Path(), model).trained.as_posix()]
    return (cost if cost.pop("export") == made else {}) | of_candidates or None


def made(root: Path, model: str) -> dict[str, Any]:
    """Return what stages found in the checkout, as the tag of a version holds it: metrics, data, params.

    A part that was not made is left out: where validation stops a run there is nothing to evaluate. "current" says
    whether all of it is what dvc.lock records.

    Raises:
        ArtifactError: Nothing was made yet.
        UnknownKey: params.yaml has no such model.
    """
    paths, block = ModelPaths(root, model), config.settings_of(config.load(root / PARAMS), model)
    files = {"data": paths.validation_summary, "metrics": paths.metrics}
    found = {name: read_facts(path) for name, path in files.items() if path.exists()}
    if not found:
        raise ArtifactError(
            f"{paths.artifacts} holds neither a validation nor an evaluation: run `dvc repro` first, or name a "
            f"version, such as {model}@production"
        )
    entries = locks.of_model(locks.read(root / commits.LOCK), model)
    known = {out: md5 for stage in entries for out, md5 in locks.outputs(entries, stage).items()}
    made = [path for path in files.values() if path.exists()]
    current = all(known.get(path.relative_to(root).as_posix()) in {None, checksum(path)} for path in made)
    return {**found, "params": block.model_dump(mode="json", by_alias=True), "current": current}
