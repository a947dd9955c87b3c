"""git and DVC as luodi runs them, and what they print turned into errors of ours."""

import contextlib
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from luodi.errors import DirtyCheckout, DiskFull, GitError, LuodiError, RemoteError, StageFailed
from luodi.files import users_umask
from luodi.project import standing_dvc
from luodi.project.origin import Origin
from luodi.system import disk, masking, processes
from luodi.system.masking import redact
from luodi.system.processes import MARK, CommandFailed, Runner, of_another

UNREACHABLE = re.compile(
    r"Could not read from remote|unable to (access|connect)|does not appear to be a git|could not read Username"
    r"|Authentication failed|repository '.*' (does not exist|not found)|'remote-\S+' is not a git command"
    r"|protocol '.*' is not supported|transport '.*' not allowed"
)
DAMAGED = re.compile("expected flush after ref listing|repository corruption on the remote side")
"""What git says when that of the origin ended where it lists its refs, or gives what they name."""
UNSIGNED = re.compile(r"failed to sign the data|user\.signingkey|load public key", re.IGNORECASE)
"""What git says when it cannot sign a commit, by any of the programs that it signs by."""

KILLED_BY_DISK = {-7, 135, -25, 153}
"""Exit codes of a process, and of a shell around it, that SIGBUS (a file in memory has no room) or SIGXFSZ ended."""
TRANSFER = re.compile(r"^ERROR: (?:failed to transfer '\w+' - )?")
UNSAVED = re.compile(r"Can't remove the following unsaved files without confirmation.*\n((?:/.+(?:\n|$))+)")


class Absent(RemoteError):
    """DVC did not get what dvc.lock records; `names` are the paths and MD5s that it named."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(f"the DVC remote cannot be used: it does not hold {', '.join(sorted(names))}")
        self.names = names


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


def copying(origin: Origin) -> tuple[str, ...]:
    """Options of `git clone` by which no file of a team's repository is linked into this user's private folder."""
    return () if Path(origin.git).is_relative_to(origin.home) else ("--no-hardlinks",)


def git(origin: Origin, runner: Runner, cwd: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git in `cwd`. Raises RemoteError or GitError if the origin cannot be used, DiskFull, else CommandFailed."""
    environment = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **origin.credentials()}
    try:
        given = {**environment, **(env or {})}
        return runner.run("git", *arguments, cwd=cwd, env=given, umask=umask_of(origin, origin.git, *arguments))
    except CommandFailed as error:
        told = _explain_git(origin, error, cwd)
        if isinstance(told, DiskFull) and cwd.is_relative_to(origin.home):
            _sweep_objects(cwd)
        raise told from None


def umask_of(origin: Origin, target: str | None, *arguments: str) -> int:
    """Return the umask for a command: what is pushed to a repository or folder of a team's is for others to read."""
    shared = arguments[0] == "push" and not (target and Path(target).is_relative_to(origin.home))
    return users_umask() if shared else -1


def _sweep_objects(repository: Path) -> None:
    """Remove what git had begun to write when the disk was full; it would leave that for two weeks."""
    for left in (repository / "objects").rglob("tmp_*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


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
    return _of_origin(origin, error.output) or disk.refused_in(error.output) or disk.or_full(error, cwd, origin.home)


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


def dvc(
    runner: Runner, root: Path, *arguments: str, stream: bool = False, umask: int = -1, home: Path | None = None
) -> str:
    """Run dvc in the checkout `root`; raise errors of ours. What a stage keeps for its next try goes to `home`."""
    masking.learn_settings(root / ".dvc" / "config", root / ".dvc" / "config.local")
    environment = {
        "PATH": processes.path(),
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "1",
        **({"LUODI_HOME": str(home)} if home else {}),
    }
    command = (sys.executable, "-P", standing_dvc.SCRIPT)
    try:
        return runner.run(*command, *arguments, cwd=root, env=environment, stream=stream, umask=umask)
    except CommandFailed as error:
        raise _explain_dvc(error, root) from None


def _explain_dvc(error: CommandFailed, root: Path) -> LuodiError:
    """Turn what dvc printed into an error of ours."""
    if match := re.search(r"failed to run: (.+?), exited with (-?\d+)", error.output):
        return explain_stage(match[1], int(match[2]), error.output, root)
    if full := disk.full_in(error.output, root):
        return full
    if match := UNSAVED.search(error.output):
        files = [path.removeprefix(f"{root}/") for path in match[1].splitlines()]
        return DirtyCheckout(
            f"what DVC brings would take the place of what it has not stored ({len(files):,}), as a stage run by hand "
            f"leaves it: {', '.join(files[:5])}; move away what you want to keep, remove the others, and run it again"
        )
    if names := _lost(error.output, root):
        return disk.or_full(Absent(names), root)
    if told := disk.refused_in(error.output):
        return told
    reason, *more = _why_unusable(error.output)
    lost = RemoteError(f"the DVC remote cannot be used: {reason}", *more) if reason else error
    return disk.or_full(lost, root)


def explain_stage(command: str, code: int, output: str, root: Path) -> LuodiError:
    # What the stage said last, from its error to what DVC adds.
    said = re.search(r"^error: .*?(?=^ERROR: |\Z)", output, re.MULTILINE | re.DOTALL)
    lines = said[0].rstrip().splitlines() if said else []
    if code == DiskFull.exit_code and lines:
        return DiskFull(f"`{command}`: {lines[0].removeprefix('error: ')}")
    failure = StageFailed(f"`{command}` ended with exit code {code}", *lines, code=code)
    return disk.full_in(output, root) or (disk.or_full(failure, root) if code in KILLED_BY_DISK else failure)


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
