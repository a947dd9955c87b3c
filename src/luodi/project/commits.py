"""What a commit holds beside dvc.lock, new commits that hold the same, and who makes them.

No commit of a user is ever rewritten.

`git` is a function that runs git in a repository, bare or not, and returns what it printed: `Workspace.git`, say.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from luodi.errors import NoIdentity
from luodi.files import write_text
from luodi.project import locks
from luodi.project.locks import Entries
from luodi.system.processes import CommandFailed

LOCK = "dvc.lock"
Git = Callable[..., str]


def same_files(git: Git, one: str, other: str) -> bool:
    """Whether two commits hold the same files, byte for byte, dvc.lock aside."""
    return not git("diff-tree", "-r", "--name-only", one, other, "--", ".", f":(exclude,literal){LOCK}").strip()


def entries(git: Git, commit: str) -> dict[str, object]:
    """Return the lock entries that a commit holds; none if it has no dvc.lock.

    Raises:
        ArtifactError: Its dvc.lock is broken.
    """
    if not git("ls-tree", "--name-only", commit, "--", LOCK).strip():
        return {}
    return locks.parse(git("show", f"{commit}:{LOCK}"), f"{LOCK} of commit {commit[:12]}")


def contains(git: Git, commit: str, ancestor: str) -> bool:
    """Whether `ancestor` is `commit`, or in its history."""
    try:
        git("merge-base", "--is-ancestor", ancestor, commit)
    except CommandFailed as error:
        if error.code != 1:  # of git, where it is none
            raise
        return False
    return True


def source(git: Git, commit: str) -> str:
    """Return the commit of a user whose files `commit` has: those of luodi stand on it, and change dvc.lock alone."""
    landed = ("--basic-regexp", "--invert-grep", "--grep=^Land [^ ]*: lock entries of a run$")
    below = git("rev-list", "--first-parent", "--max-count=1", *landed, commit).strip() or commit
    joined = git("rev-list", "--parents", "--max-count=1", below).split()[2:]  # to a lock; the last is the user's
    return next((one for one in (*joined, below) if same_files(git, one, commit)), commit)


def with_entries(
    git: Git,
    commit: str,
    lock: Entries,
    parents: Sequence[str],
    message: str,
    *,
    more: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Make a commit of the files of `commit` and a dvc.lock of `lock`; return its id. No branch moves.

    By an index of its own: what git would check out, and change on the way, is no part of it.

    Args:
        more: Texts of other files, by their paths.
    """
    with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        locks.write(Path(folder) / LOCK, lock)
        git("read-tree", commit, env=index)
        for name, text in more.items():
            write_text(Path(folder) / name, text)
        for name in (LOCK, *more):
            blob = git("hash-object", "-w", "--no-filters", "--", str(Path(folder) / name)).strip()
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=index)
        tree = git("write-tree", env=index).strip()
    sign = (
        ["-S"] if git("config", "--type=bool", "--default=false", "--get", "commit.gpgsign").strip() == "true" else []
    )
    return git("commit-tree", tree, *sign, *(f"-p{parent}" for parent in parents), "-m", message).strip()


def identity(git: Git, role: str) -> str:
    """Return `NAME <MAIL>` of who is the AUTHOR or the COMMITTER, as git was told: a guess would ask the name server.

    Raises:
        NoIdentity: It was not told.
    """
    try:
        return str(git("-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT")).partition(">")[0] + ">"
    except CommandFailed:
        raise NoIdentity(
            "git does not know who commits: expected user.name and user.email, found none; "
            'run `git config --global user.name "Your Name"` and `git config --global user.email "you@example.com"`'
        ) from None
