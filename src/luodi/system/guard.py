"""Nothing that luodi starts outlives it, however it ends: `contain`, called first of all.

Three processes: the front, whose id the user knows; the guard, in a session of its own, where no signal to a group and
no closed terminal reaches it; the worker, which is luodi as written elsewhere. Front and guard each adopt the orphans
below them and kill all of them when the next one ends; the kernel tells the guard and the worker of the one before.

`python -m luodi.system.guard MODULE [ARGUMENT]...` runs another program so: one that leaves children when it is killed.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from luodi.system import resources

GRACE = 10.0  # seconds in which the worker may end in its own way after a signal
TIDY = 0.2  # seconds for git to remove its locks, which it does at once
STUCK = 30.0  # seconds after which a process that SIGKILL does not end, on a dead disk say, is left

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
ORPHANED = signal.SIGUSR1  # what the kernel sends the guard when the front ends
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)
_ended_by: list[int] = []  # the signal that unwinds this process


def contain() -> None:
    """Go on in a child process; this one passes signals on, ends as the child does, and takes all with it.

    A stage ends with the DVC that runs it, too. Only Linux can do this: elsewhere nothing happens, and a command that
    is killed may leave others to end by themselves.
    """
    if sys.platform != "linux":
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    passed = {number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN}  # nohup ignores one
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*passed, signal.SIGCHLD, ORPHANED})
    kills = resources.kills()
    _prctl(SET_CHILD_SUBREAPER, 1)
    front = os.getpid()
    if guard := os.fork():
        if "DVC_STAGE" in os.environ:
            threading.Thread(target=_die_with_dvc, daemon=True).start()
        _attend(guard, passed)
    _die_with(front, ORPHANED)
    _prctl(SET_CHILD_SUBREAPER, 1)
    guard = os.getpid()
    if worker := os.fork():
        os.setsid()
        _attend(worker, passed, kills)
    _die_with(guard, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_in_order() -> None:
    """Let the first signal that ends this process unwind it, so that what is half done is undone, undisturbed."""

    def unwind(number: int, frame: Any) -> NoReturn:
        for later in caught:
            signal.signal(later, lambda *_: None)
        _ended_by.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    caught = [
        number
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) != signal.SIG_IGN
    ]
    for number in caught:
        signal.signal(number, unwind)


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Whatever is raised here: if a signal came, end by it."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        end_if_signalled()
        raise


def interrupted() -> bool:
    """Whether it is Ctrl-C that unwinds this process."""
    return _ended_by[:1] == [signal.SIGINT]


def end_if_signalled() -> None:
    """End by the signal that came: C code that it met, an import say, may swallow it or raise an error of its own."""
    if _ended_by:
        raise SystemExit(128 + _ended_by[0])


def _attend(child: int, passed: Iterable[int], kills: int | None = None) -> NoReturn:
    """Pass signals on to `child` until it ends, kill whatever it leaves, and end with its exit code.

    Args:
        kills: How often the kernel had ended a process for want of memory before `child` began; None is not to tell.
    """
    code: int | None = None
    deadline: float | None = None
    while code is None:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        number, by_terminal = _next_signal({*passed, signal.SIGCHLD, ORPHANED}, left)
        if number == signal.SIGCHLD:
            code = _reap(child)
        elif number in passed:
            deadline = deadline or time.monotonic() + GRACE
            if not by_terminal:  # then the worker has got it already
                os.kill(child, number)
        else:  # the one before is gone, or the time is up
            os.kill(child, signal.SIGKILL)
            code = 128 + signal.SIGKILL
    if code == 128 + signal.SIGKILL and kills is not None and (resources.kills() or 0) > kills:
        _tell_memory()
    _kill_descendants()
    os._exit(code)


def _tell_memory() -> None:
    """Say what a process cannot say that the kernel ended because memory ran out."""
    from luodi.system.masking import redact
    from luodi.terminal import screen, shown

    command, limit = shown(redact(" ".join(["luodi", *sys.argv[1:]]))), resources.memory()[0]
    may = f", which may use {limit / 2**30:.1f} GiB here" if limit else ""
    remedy = resources.MORE_MEMORY if "train" in sys.argv else "give it more memory"
    told = f"error: memory ran out: the kernel ended `{command}`{may}; {remedy}"
    print(told, file=screen(sys.stderr), flush=True)


def _next_signal(awaited: set[int], seconds: float | None) -> tuple[int, bool]:
    """Wait for a signal; return its number, 0 if none came, and whether it was typed at the terminal."""
    if seconds is None:
        info = signal.sigwaitinfo(awaited)
    elif (got := signal.sigtimedwait(awaited, seconds)) is None:
        return 0, False
    else:
        info = got
    return info.si_signo, info.si_code > 0 and info.si_signo in (signal.SIGINT, signal.SIGQUIT)


def _reap(child: int | None = None) -> int | None:
    """Bury the dead, adopted ones among them; return the exit code of `child` if it is one of them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if dead[0] == child:
                code = os.waitstatus_to_exitcode(dead[1])
    return 128 - code if code is not None and code < 0 else code


def _kill_descendants() -> None:
    """End all processes below this one until there are none: those that start meanwhile are found next."""
    _reap()
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        import psutil

        begun = time.monotonic()
        while (left := psutil.Process().children(recursive=True)) and time.monotonic() < begun + STUCK:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGTERM if time.monotonic() < begun + TIDY else signal.SIGKILL)
            time.sleep(0.01)
            _reap()


def _die_with_dvc() -> None:
    """End this process when the DVC that runs it as a stage ends; shells may stand between and live on."""
    import psutil

    with contextlib.suppress(psutil.Error, ProcessLookupError, StopIteration):  # it has ended already
        dvc = next(process for process in psutil.Process().parents() if "DVC_STAGE" not in process.environ())
        poll = select.poll()
        poll.register(os.pidfd_open(dvc.pid), select.POLLIN)
        poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def _die_with(parent: int, number: int) -> None:
    _prctl(SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before that
        os._exit(128 + signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    contain()
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])  # noqa: S606, no shell is wanted
