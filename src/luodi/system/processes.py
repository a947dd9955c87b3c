"""Run commands in a process group of their own, stream what they print, and end the whole group when asked."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luodi.errors import GitError, LuodiError
from luodi.system import guard
from luodi.system.masking import KEY_BEGINS, KEY_LINE, MASK, redact
from luodi.terminal import visible

TAIL = 40  # lines of output kept for an error message
MARK = re.compile(r"^(?:remote: *)?(?:(?:fatal|error|warning|ERROR|WARNING): *)+")
ADVICE = re.compile(r"(?:remote: *)?hint:|To \S+$|Having any troubles\?|remote: *$")
ELSEWHERE = frozenset(
    f"GIT_{name}"
    for name in (
        "ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR", "DIR", "GRAFT_FILE", "IMPLICIT_WORK_TREE", "INDEX_FILE",
        "NAMESPACE", "OBJECT_DIRECTORY", "PREFIX", "QUARANTINE_PATH", "REPLACE_REF_BASE", "SHALLOW_FILE", "WORK_TREE",
        "GLOB_PATHSPECS", "ICASE_PATHSPECS", "LITERAL_PATHSPECS", "NOGLOB_PATHSPECS", "DEFAULT_HASH", "TEMPLATE_DIR",
        "LFS_SKIP_SMUDGE",
    )
)  # fmt: skip
"""Variables that lead git to another repository than that of its folder, or to read what it is told in another way. A
git hook, and an editor that runs git, sets some: with them, what is meant for a clone would change the repository of
the user who commits."""
STEADY = {
    "clone.defaultRemoteName": "origin",
    "fetch.prune": "false",  # what is fetched is named; tags that others do not have stay
    "fetch.pruneTags": "false",
    "init.defaultObjectFormat": "sha1",  # DVC reads no other
    "init.defaultRefFormat": "files",
    "log.showSignature": "false",
    "push.followTags": "false",
    "push.gpgSign": "false",  # of a push: few servers take it; commits are signed as the user wants
    "safe.bareRepository": "all",
}
"""Settings of git that a user may have otherwise for what he types, and by which what luodi asks would fail, or be
answered otherwise."""


OWNED = re.compile("detected dubious ownership in repository at '(.+)'")


def of_another(output: str) -> GitError | None:
    """What is to be done where git reads nothing of a repository for whose it is, by what it printed."""
    if not (found := OWNED.search(output)):
        return None
    return GitError(
        f"{found[1]} belongs to another user, and git reads no repository of another's: work as that user, or, if you "
        f"trust what is there, run `git config --global --add safe.directory {shlex.quote(found[1])}`"
    )


def git_command(*arguments: str) -> list[str]:
    """Return the command of git that does the same for everybody, whatever the settings of the user."""
    return ["git", *(part for name, value in STEADY.items() for part in ("-c", f"{name}={value}")), *arguments]


def path() -> str:
    """Return PATH, with the commands of this Python first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def dies_too(signal_name: str) -> tuple[str, ...]:
    """Return what stands before a command that the kernel shall end by that signal when this process dies.

    What the command starts itself is the business of `guard`.
    """
    return ("setpriv", "--pdeathsig", signal_name, "--") if shutil.which("setpriv") else ()


class CommandFailed(LuodiError):
    """A command ended with an error. `output` holds what it printed, standard error last, or its last lines.

    The message is for where nobody explains it better: the reason without the marks and the advice of git and DVC,
    which is for who typed the command.
    """

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.code = code
        self.output = redact(output)
        # DVC is run by the path of a file, see `programs.dvc`.
        typed = ["dvc", *command[3:]] if command[1:2] == ("-P",) else command
        reasons = [MARK.sub("", line) for line in self.output.splitlines() if line.strip() and not ADVICE.match(line)]
        super().__init__(redact(f"`{' '.join(typed)}` ended with exit code {code}:"), *reasons)


@dataclass
class Runner:
    """Runs one command at a time.

    Attributes:
        log: Receives each line of output of streamed commands, made visible.
        start: Makes a process, as `subprocess.Popen` does.
    """

    log: Callable[[str], None]
    start: Callable[..., "subprocess.Popen[str]"] = subprocess.Popen
    _process: subprocess.Popen[str] | None = field(default=None, init=False)
    _killed: bool = field(default=False, init=False)

    def run(
        self, *command: str, cwd: Path, env: Mapping[str, str] | None = None, stream: bool = False, umask: int = -1
    ) -> str:
        """Run a command to its end and return its standard output.

        With `stream` every line of both its outputs goes to the log as it comes, and the last ones are returned.
        A `umask` of -1 is that of this process.

        Raises:
            CommandFailed: It ended with an exit code other than 0, or this runner was killed.
        """
        guard.end_if_signalled()
        if self._killed:
            raise CommandFailed(command, -signal.SIGTERM, "not started: the task was ended")
        started = git_command(*command[1:]) if command[0] == "git" else command
        # A group of its own, so that all its children die with it.
        process = self._process = self.start(
            [*dies_too("TERM"), *started],  # by which git removes its locks
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if name not in ELSEWHERE} | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if stream else subprocess.PIPE,  # git and ssh may warn beside an answer
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            umask=umask,
            # Python ignores SIGXFSZ, and so does what it starts here: at `ulimit -f` git is to tell, and tidy up, as it
            # does on a full disk, not to die. (git and Python set SIGPIPE themselves.)
            restore_signals=False,
        )
        try:
            if self._killed:  # while it was being started
                end_group(process)
            output, errors = self._follow(process) if stream else process.communicate()
            code = process.wait()
        except BaseException:
            end_group(process)  # a timeout, say: nobody else would know of it
            raise
        finally:
            self._process = None
            for pipe in filter(None, (process.stdout, process.stderr)):
                pipe.close()
        if code:
            between = "\n" if output and errors and not output.endswith("\n") else ""
            raise CommandFailed(command, code, f"{output}{between}{errors}")
        return output

    def _follow(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """Log each line as it comes; return the last ones, and no others."""
        assert process.stdout is not None
        tail: deque[str] = deque(maxlen=TAIL)
        in_key = False  # a private key comes line by line
        for line in process.stdout:
            in_key = bool(KEY_BEGINS.search(line) or (in_key and KEY_LINE.fullmatch(line)))
            tail.append(f"{MASK}\n" if in_key else redact(line))
            self.log(visible(tail[-1].rstrip("\n").expandtabs()))
        return "".join(tail), ""

    def kill(self, grace: float = 5.0) -> None:
        """End the running command and all its children: SIGTERM, then SIGKILL after `grace` seconds. Start no other."""
        self._killed = True
        if self._process is not None:
            end_group(self._process, grace)


def end_group(process: "subprocess.Popen[Any]", grace: float = 5.0) -> None:
    """End a process and its group: SIGTERM, then SIGKILL after `grace` seconds to whatever is left."""
    # The leader may be gone while a child that holds its output, or ignores SIGTERM, lives on.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        os.killpg(process.pid, signal.SIGKILL)
