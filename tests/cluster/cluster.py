"""What the tests do with a running cluster."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from luodi.project import locks

if TYPE_CHECKING:
    from project import Project

MODELS = ("reviews", "digits")
ENDED = {"success", "failed"}


@dataclass
class Cluster:
    """The running cluster of a project."""

    project: "Project"
    tool: Any

    @cached_property
    def airflow(self) -> Any:
        """One login for all: to check a password takes the API server half a second."""
        return self.tool.Airflow()

    def compose(self, *arguments: str, check: bool = True, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["docker", "compose", *arguments], cwd=self.tool.HERE, check=False, input=stdin or b"",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0 or not check, output
        return output

    def shell(self, service: str, command: str) -> str:
        """Run a shell command in the container of a service."""
        return self.compose("exec", "-T", service, "sh", "-ec", command)

    def origin(self, *arguments: str) -> str:
        """Run git in the repository of the git server."""
        return self.compose("exec", "-T", "git", "git", "-C", "/srv/git/luodi.git", *arguments)

    def landed(self, model: str) -> dict[str, Any]:
        """The lock entries of a model on main of the git server."""
        return locks.of_model(locks.parse(self.origin("show", "main:dvc.lock"), "main"), model)

    def versions(self, model: str) -> list[str]:
        return self.origin("tag", "--list", f"{model}@v*").split()

    def wait(self, model: str, run: str, seconds: float = 900) -> str:
        """Wait for the end of a run; return its state."""
        assert wait_for(lambda: self.airflow.run(model, run)["state"] in ENDED, seconds), self.story(model, run)
        return str(self.airflow.run(model, run)["state"])

    def task(self, model: str, run: str, name: str) -> dict[str, Any]:
        return next(task for task in self.airflow.tasks(model, run) if task["task_id"] == name)

    def wait_for_task(self, model: str, run: str, name: str, state: str = "running", seconds: float = 600) -> None:
        assert wait_for(lambda: self.task(model, run, name)["state"] == state, seconds), self.story(model, run)

    def story(self, model: str, run: str) -> str:
        """The states and tries of a run's tasks."""
        return "\n".join(
            f"{task['task_id']}: {task['state']}, try {task['try_number']}" for task in self.airflow.tasks(model, run)
        )

    def reset(self) -> None:
        """Forget every result: nothing has landed, no cache holds anything, only the raw data are in the store."""
        assert wait_for(lambda: not self.active(), 600)
        # A commit on top: Airflow looks up the commits that it has seen.
        who = ("-c", "user.name=Tester", "-c", "user.email=tester@localhost")
        tree = self.project.git("rev-parse", "HEAD^{tree}")
        commit = self.origin(*who, "commit-tree", tree, "-p", "main", "-m", "Forget").strip()
        self.origin("update-ref", "refs/heads/main", commit)
        for tag in self.origin("tag").split():
            self.origin("tag", "--delete", tag)
        for worker in ("worker", "worker-cpu"):
            self.shell(worker, "rm -rf /var/lib/luodi/*")

    def active(self) -> list[str]:
        runs = self.airflow.call("dags/~/dagRuns?limit=1000")["dag_runs"]
        return [run["dag_run_id"] for run in runs if run["state"] not in ENDED]

    def works(self, service: str, command: str) -> bool:
        """Whether a process of this command line runs in the container of a service."""
        return command in self.compose("top", service, check=False)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def log(self, model: str, run: str, task: str, attempt: int) -> str:
        """What a try of a task logged, as the API server reads it from the worker."""
        path = f"dags/retrain_{model}/dagRuns/{quote(run)}/taskInstances/{task}/logs/{attempt}?full_content=true"
        return json.dumps(self.airflow.call(path), ensure_ascii=False)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(1)
    return condition()
