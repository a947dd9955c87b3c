"""The cluster of compose.yaml from start to teardown: `cluster.py up [--project DIR] | run MODEL | down [--volumes]`.

Needs docker with Compose, git and ssh-keygen; of Python only the standard library.
"""

import argparse
import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
SECRETS = HERE / "secrets"
ENDED = {"success", "failed"}
HELD = 5  # exit codes of `luodi run`, see src/luodi/errors.py
UNPROVEN = 6

# In the git server: the checkout's commit becomes the branch, if nothing that has landed is lost by it.
SEED_GIT = """\
cat > /tmp/seed; cd /srv/git/luodi.git; git fetch --quiet /tmp/seed HEAD
git merge-base --is-ancestor FETCH_HEAD "$0" 2> /dev/null || git fetch --quiet /tmp/seed "HEAD:$0" || {
    echo "error: branch $0 of the cluster has commits that this checkout lacks: pull them first (docker/README.md)" >&2
    exit 1
}
"""
# In a worker: data/ goes into the DVC remote as data.dvc records it.
SEED_DATA = """\
rm -rf /var/lib/luodi/seed; git clone --quiet --branch "$LUODI_GIT_BRANCH" "$LUODI_GIT_URL" /var/lib/luodi/seed
cd /var/lib/luodi/seed; tar --extract
dvc remote add --quiet --local --default luodi "$LUODI_DVC_REMOTE"
dvc config --local core.site_cache_dir /tmp/site
dvc add --quiet data
git diff --exit-code data.dvc || { echo "error: data/ is not what data.dvc records: run 'make data'" >&2; exit 1; }
dvc push --quiet data.dvc; cd /; rm -rf /var/lib/luodi/seed
"""


def compose(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["docker", "compose", *arguments], cwd=HERE, check=True, **options)


def prepare() -> None:
    """Make .env and every secret that is not there yet; leave what is there as it is."""
    if not (HERE / ".env").exists():
        shutil.copyfile(HERE / ".env.example", HERE / ".env")
        (HERE / ".env").chmod(0o600)
    # Nobody else enters the folder; inside the containers, whose users are not ours, the files are readable.
    SECRETS.mkdir(mode=0o700, exist_ok=True)
    for name in ("postgres_password", "redis_password", "admin_password", "api_secret_key", "s3_secret", "serve_token"):
        secret(name, secrets.token_urlsafe(32))
    secret("jwt_secret", secrets.token_urlsafe(48))  # HS512 wants 64 bytes
    secret("fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    access, password = secret("s3_access", secrets.token_hex(10)), read("redis_password")
    secret("s3_key", f"{access},{read('s3_secret')}")
    secret("aws_credentials", f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {read('s3_secret')}\n")
    secret("sql_alchemy_conn", f"postgresql+psycopg2://airflow:{read('postgres_password')}@postgres/airflow")
    secret("redis_conf", f"requirepass {password}\nappendonly yes\ndir /data\n")
    secret("broker_url", f"redis://:{password}@redis:6379/0")
    secret("result_backend", f"redis://:{password}@redis:6379/1")
    secret("git_credentials", "")
    for name in ("git_key", "git_host_key"):
        if not (SECRETS / name).exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "luodi", "-f", str(SECRETS / name)]
            subprocess.run(command, check=True)
            (SECRETS / name).chmod(0o444)
    secret("known_hosts", f"[git]:2222 {read('git_host_key.pub')}\n")


def secret(name: str, value: str) -> str:
    """Write a secret unless it exists; return what is there."""
    path = SECRETS / name
    if not path.exists():
        path.write_text(value)
        path.chmod(0o444)
    return path.read_text()


def read(name: str) -> str:
    return (SECRETS / name).read_text().strip()


def up(project: Path) -> None:
    """Build images of the luodi beside this file, bring the commit and data of `project`, start everything."""
    for name in (".git", "data.dvc", "data"):
        if not (project / name).exists():
            sys.exit(f"error: {project} has no {name}: name the checkout of a project with its data")
    prepare()
    with timed("images"):
        compose("build")
    own = sorted(services() & {"git", "s3"})
    with timed("project and data"):
        if own:
            compose("up", "--detach", "--wait", *own)
        if "git" in own:
            # A bundle streams into a container on whichever machine, and asks for no file of ours to be readable there.
            command = ["git", "bundle", "create", "--quiet", "-", "HEAD"]
            bundle = subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE)
            branch = settings()["LUODI_GIT_BRANCH"]
            compose("exec", "-T", "git", "sh", "-ec", SEED_GIT, branch, input=bundle.stdout)
        if "s3" in own:
            command = ["tar", "--create", "data"]
            with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE) as archive:
                compose("run", "-T", "--rm", "--no-deps", "worker", "sh", "-ec", SEED_DATA, stdin=archive.stdout)
            if archive.returncode:
                raise subprocess.CalledProcessError(archive.returncode, command)
    with timed("everything healthy"):
        compose("up", "--detach", "--wait", "--wait-timeout", "600")
    print(f"Airflow is ready: {url()}\nlogin: admin\npassword: in {SECRETS / 'admin_password'}")


@contextmanager
def timed(step: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{step}: {time.monotonic() - start:.0f} s", flush=True)


def services() -> set[str]:
    """The services that run under the profiles of .env."""
    return set(compose("config", "--services", stdout=subprocess.PIPE).stdout.decode().split())


def settings() -> dict[str, str]:
    lines = (HERE / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def url() -> str:
    port = compose("port", "api-server", "8080", stdout=subprocess.PIPE).stdout.decode().strip()
    return f"http://{port}"


class Airflow:
    """The API of the cluster's Airflow, as admin."""

    def __init__(self) -> None:
        self.url, self.token = url(), ""

    def call(self, path: str, body: Any = None, method: str | None = None, done: int | None = None) -> Any:
        """Call the API; a server that is away is tried again for five minutes.

        `done` is the status by which it tells a second try that the first, whose answer was lost, did it: None then.
        """
        deadline, tried, expired = time.monotonic() + 300, False, False
        while True:
            try:
                if not self.token:
                    login = {"username": "admin", "password": read("admin_password")}
                    self.token = self._send("/auth/token", login, "POST")["access_token"]
                return self._send(f"/api/v2/{path}", body, method)
            except HTTPError as error:
                with error:
                    if tried and error.code == done:
                        return None
                    if error.code == 401 and self.token and not expired:  # a token lives a day
                        self.token, expired = "", True
                        continue
                    if error.code < 500 or time.monotonic() > deadline:
                        sys.exit(f"error: {path}: {error} {error.read().decode(errors='replace')[:500]}")
            except (URLError, ConnectionError, TimeoutError, HTTPException, json.JSONDecodeError) as error:
                if time.monotonic() > deadline:
                    sys.exit(f"error: Airflow at {self.url} cannot be reached ({error}): run `make cluster-up`")
            tried |= bool(self.token)  # without one, the login is what failed
            time.sleep(5)

    def _send(self, path: str, body: Any, method: str | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=60) as answer:
            return json.load(answer)

    def trigger(self, model: str, **conf: Any) -> str:
        """Start retrain_MODEL; return the id of the run, which is ours, so that a second try starts no second run."""
        run = f"manual__{datetime.now(timezone.utc).isoformat()}"  # noqa: UP017, this machine's Python may be older
        self.call(
            f"dags/retrain_{model}/dagRuns",
            {"logical_date": None, "dag_run_id": run} | ({"conf": conf} if conf else {}),
            done=409,
        )
        return run

    def run(self, model: str, run: str) -> dict[str, Any]:
        return dict(self.call(f"dags/retrain_{model}/dagRuns/{quote(run)}"))

    def tasks(self, model: str, run: str) -> list[dict[str, Any]]:
        return list(self.call(f"dags/retrain_{model}/dagRuns/{quote(run)}/taskInstances")["task_instances"])

    def result(self, model: str, run: str, task: str) -> Any:
        """What a task returned."""
        path = f"dags/retrain_{model}/dagRuns/{quote(run)}/taskInstances/{task}/xcomEntries/return_value"
        return self.call(f"{path}?deserialize=true")["value"]

    def refusal(self, model: str, run: str) -> str:
        """Why a run that asked for approval landed nothing."""
        details = self.call(f"dags/retrain_{model}/dagRuns/{quote(run)}/hitlDetails")["hitl_details"]
        answers = [detail for detail in details if detail["response_received"]]
        if not answers:
            return "nobody approved"  # the task's state was set by hand
        who, comment = answers[0]["responded_by_user"], answers[0]["params_input"].get("comment")
        return f"rejected by {who['name'] if who else 'nobody'}" + (f": {comment}" if comment else "")

    def nothing_new(self, model: str, run: str) -> str | None:
        """Why a run that did not fail had nothing to do, if so."""
        states = {task["task_id"]: task["state"] for task in self.tasks(model, run)}
        return None if states["gate"] == "success" else dict(self.result(model, run, "validate")).get("nothing_new")

    def came_of(self, model: str, run: str) -> dict[str, Any]:
        """What came of a run that did not fail: the word of register or, if it did not run, of gate and approver."""
        states = {task["task_id"]: task["state"] for task in self.tasks(model, run)}
        if states["register"] == "success":
            return dict(self.result(model, run, "register"))
        decision = dict(self.result(model, run, "gate")["decision"])
        if states.get("approve", "skipped") != "skipped":
            reasons = [*decision["reasons"], self.refusal(model, run)]
            decision |= {"verdict": "rejected", "reasons": reasons}
        return decision


def run(model: str, *, again: bool = False) -> None:
    """Retrain one model; print each task as it ends, then what came of it; end with the code of `luodi run`.

    Where nothing is new the run says so and ends, unless it is asked for `again`.
    """
    airflow, told = Airflow(), set()
    known = {dag["dag_id"] for dag in airflow.call("dags?limit=1000")["dags"]}
    if f"retrain_{model}" not in known:
        sys.exit(f"error: no DAG retrain_{model}; there is: {', '.join(sorted(known)) or 'none yet, wait a minute'}")
    name = airflow.trigger(model, **({"again": True} if again else {}))
    print(f"{airflow.url}/dags/retrain_{model}/runs/{quote(name)}", flush=True)
    while True:
        state = airflow.run(model, name)["state"]
        for task in airflow.tasks(model, name):
            if task["state"] in {"success", "failed", "skipped", "upstream_failed"} and task["task_id"] not in told:
                told.add(task["task_id"])
                print(f"  {task['task_id']:<12} {task['state']:<8} {task['duration'] or 0:6.1f} s", flush=True)
        if state in ENDED:
            break
        time.sleep(2)
    if state == "failed":
        sys.exit("error: the run failed; the logs of its tasks say why")
    if why := airflow.nothing_new(model, name):
        print(f" {why}; --again judges it once more")
        return
    result = airflow.came_of(model, name)
    version = result.get("version")
    print(f" verdict  {result['verdict']}\n version  {version or 'none'}")
    for reason in result["reasons"]:
        print(f" reason   {reason}")
    if not version and result["verdict"] != "unchanged":
        sys.exit(UNPROVEN if result["verdict"] == "insufficient evidence" else HELD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="make .env and secrets/")
    starts = commands.add_parser("up", help="build what changed, start everything, wait until it is healthy")
    starts.add_argument("--project", type=Path, default=HERE.parent, metavar="DIR", help="default: this repository's")
    runs = commands.add_parser("run", help="retrain a model")
    runs.add_argument("model")
    runs.add_argument("--again", action="store_true", help="judge it once more, though nothing is new")
    commands.add_parser("down", help="stop everything").add_argument(
        "--volumes", action="store_true", help="and delete all it stored"
    )
    arguments = parser.parse_args()
    os.environ.setdefault("DOCKER_BUILDKIT", "1")
    try:
        if arguments.command == "run":
            run(arguments.model, again=arguments.again)
        elif arguments.command == "down":
            compose("--profile", "*", "down", *(["--volumes"] if arguments.volumes else []))
        elif arguments.command == "up":
            up(arguments.project.resolve())
        else:
            prepare()
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: `{' '.join(map(str, error.cmd[:4]))} ...` ended with exit code {error.returncode}")
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename} is not there: install docker with Compose, git and an SSH client")


if __name__ == "__main__":
    main()
