"""Processes that train, each of which loads TensorFlow once. One that dies is replaced, and its task is done again."""

import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self, TypeAlias

from luodi.errors import DiskFull, LuodiError
from luodi.system import resources
from luodi.system.processes import dies_too

Task: TypeAlias = Mapping[str, Any]
DONE = "done"
COMMAND = (sys.executable, "-m", "luodi.tuning.worker")
TRIES = 3  # processes that may die of one task
LAST = 30  # seconds that one which answers no more has to end


class Worker:
    """One process, and the one in its place when it has died."""

    def __init__(self, setup: Mapping[str, Any], lock: int) -> None:
        self._setup, self._lock = setup, lock
        self.closed = False
        self._process = self._start()

    def ask(self, task: Task) -> bool:
        """Have it do a task; return whether it did, and did not die.

        Raises:
            LuodiError: It cannot, and no other would.
        """
        if self.closed:
            return False
        process = self._process
        assert process.stdin
        assert process.stdout
        with suppress(BrokenPipeError):
            process.stdin.write(f"{json.dumps(task)}\n")
            process.stdin.flush()
        if (answer := process.stdout.readline().strip()) == DONE:
            return True
        if answer:
            found = json.loads(answer)
            raise (DiskFull if found["full"] else LuodiError)(found["error"])
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST)  # its pipes close before it has ended: to kill it now would hide how it ends
        self.end()
        return False

    def restart(self) -> None:
        """Put another process in the place of one that died."""
        self._process = self._start()
        if self.closed:
            self.end()

    def close(self) -> None:
        """End the process, and have no other in its place: its thread hears of it."""
        self.closed = True
        self.end()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                if pipe:
                    pipe.close()

    @property
    def code(self) -> int:
        """How it ended: its exit code, or minus the signal."""
        return self._process.wait()

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*dies_too("KILL"), *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._lock,),
            text=True,
            encoding="utf-8",
        )
        assert process.stdin
        with suppress(BrokenPipeError):
            process.stdin.write(f"{json.dumps(self._setup)}\n")
        return process


class Workers:
    """Processes for all tasks of a search: the first that needs one starts it, and it stays to the end.

    Args:
        setup: What `luodi.tuning.worker` is told first.
        count: Processes at once.
        lock: A file that each process keeps open.
    """

    def __init__(self, setup: Mapping[str, Any], count: int, lock: int) -> None:
        self._setup, self._count, self._lock = setup, count, lock
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def run(
        self,
        tasks: Iterable[Task],
        *,
        died: Callable[[Task], None],
        done: Callable[[Task], None],
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do all tasks in their order, until there is `enough`.

        Args:
            died: Told of a task whose process died.
            done: Told of a task that is done.

        Raises:
            LuodiError: A task ended its process `TRIES` times, or cannot be done.
        """
        waiting = deque(tasks)
        count = min(self._count, len(waiting))
        self._workers += [Worker(self._setup, self._lock) for _ in range(count - len(self._workers))]
        with ThreadPoolExecutor(len(self._workers) or 1) as pool:
            try:
                for one in [pool.submit(_attend, worker, waiting, died, done, enough) for worker in self._workers]:
                    one.result()
            except BaseException:
                waiting.clear()
                for worker in self._workers:
                    worker.close()
                raise


def _attend(
    worker: Worker,
    waiting: "deque[Task]",
    died: Callable[[Task], None],
    done: Callable[[Task], None],
    enough: Callable[[], bool],
) -> None:
    while waiting and not enough():
        try:
            task = waiting.popleft()
        except IndexError:  # another took it
            return
        tries = 1
        while not worker.ask(task):
            if worker.closed:
                return
            died(task)
            if tries == TRIES:
                raise LuodiError(_dead(task, worker.code))
            tries += 1
            worker.restart()
        done(task)


def _dead(task: Task, code: int) -> str:
    what = f"trial {task['slot']}" if "slot" in task else f"the repeat with seed {task['seed']}"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    killed = f"memory may have run out: {resources.MORE_MEMORY}, and lower tune.workers"
    return (
        f"{what} ended its process {TRIES} times, the last time with {how}: "
        f"{killed if code == -signal.SIGKILL else 'what it wrote above says why'}; what was measured is kept, and the "
        "next `luodi tune` goes on"
    )
