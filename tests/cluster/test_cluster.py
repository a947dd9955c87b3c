"""What a cluster computes, who may do what in it, what it lets out, and how long it takes."""

import json
import secrets
import subprocess
import time
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from cluster import MODELS, Cluster, locks

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

LIGHT = ("api-server", "scheduler", "dag-processor", "triggerer")
ML = ("tensorflow", "keras", "numpy", "pandas", "scipy", "sklearn", "onnx", "onnxruntime", "great_expectations")
PARSE = """
import json, sys, time
from pathlib import Path
import airflow.sdk
started = time.perf_counter()
from luodi.airflow.factory import retrain_dags
dags = retrain_dags(Path(sys.argv[1]))
print(json.dumps({"seconds": time.perf_counter() - started, "dags": sorted(dags)}))
"""
ABSENT = "import importlib.util as i, sys; print([name for name in sys.argv[1:] if i.find_spec(name)])"
# The right name with a wrong key.
FORGED = """
import botocore.exceptions, botocore.session
session = botocore.session.get_session()
access = session.get_credentials().access_key
try:
    session.create_client("s3", aws_access_key_id=access, aws_secret_access_key="wrong").list_objects_v2(Bucket="luodi")
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"])
"""
# What DVC in a worker says of a remote on the git server, a host that speaks SSH.
PUSH = """
export DVC_SITE_CACHE_DIR=/tmp/site; cd "$(mktemp -d)"; dvc init --quiet --no-scm; echo a > a; dvc add --quiet a
dvc remote add --quiet --default server ssh://git@HOST:2222/srv/git
dvc remote modify server keyfile /run/secrets/git_key
python -P "$(python -c 'from luodi.project import strict_dvc; print(strict_dvc.__file__)')" push 2>&1 || true
"""
# CUDA as TensorFlow was built for it; to load them takes no driver.
CUDA = """
import ctypes, pathlib, nvidia, tensorflow
names = ("cudart", "cublas", "cublasLt", "cufft", "cusolver", "cusparse", "cudnn")
for name in names:
    (path,) = pathlib.Path(next(iter(nvidia.__path__))).glob(f"*/lib/lib{name}.so.*")
    ctypes.CDLL(str(path))
print(tensorflow.sysconfig.get_build_info()["is_cuda_build"])
"""
REACH = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"


@pytest.fixture(scope="module")
def done(cluster: Cluster) -> dict[str, str]:
    """Model -> its first run, ended. The schedules started none when the cluster came up."""
    for model in MODELS:
        assert cluster.airflow.call(f"dags/retrain_{model}/dagRuns")["dag_runs"] == []
    runs = {model: cluster.airflow.trigger(model) for model in MODELS}
    for model in MODELS:
        assert cluster.wait(model, runs[model]) == "success", cluster.story(model, runs[model])
    return runs


def containers(cluster: Cluster) -> list[dict[str, Any]]:
    names = cluster.compose("ps", "--all", "--quiet").split()
    return list(json.loads(subprocess.check_output(["docker", "inspect", *names])))


@pytest.mark.parametrize("model", MODELS)
def test_a_run_ends_with_the_entries_of_dvc_repro_and_one_version(
    cluster: Cluster, done: dict[str, str], expected: dict[str, Any], model: str
) -> None:
    assert cluster.landed(model) == locks.of_model(expected, model)
    assert cluster.versions(model) == [f"{model}@v1.0.0"]
    assert cluster.airflow.result(model, done[model], "register")["version"] == f"{model}@v1.0.0"


def test_cluster_run_tells_what_came_of_it(cluster: Cluster, done: dict[str, str]) -> None:
    output = cluster.project.run("python", "docker/cluster.py", "run", "reviews")
    assert "nothing changed since reviews@v1.0.0 landed; production stays as it is; --again judges it once" in output
    output = cluster.project.run("python", "docker/cluster.py", "run", "reviews", "--again")
    assert "  register     success" in output
    assert "verdict  unchanged" in output
    assert "version  reviews@v1.0.0" in output


def test_the_api_server_shows_the_reports_of_a_run(cluster: Cluster, done: dict[str, str]) -> None:
    """It clones the project and pulls from the store by itself."""
    airflow = cluster.airflow
    airflow.call("dags")  # logs in
    address = f"{airflow.url}/luodi/retrain_digits/{quote(done['digits'], safe='')}/validation"
    with urlopen(Request(address, headers={"Authorization": f"Bearer {airflow.token}"}), timeout=120) as answer:
        assert b"<!doctype html>" in answer.read()


def test_training_ran_on_the_queue_of_the_gpu_and_the_rest_did_not(cluster: Cluster, done: dict[str, str]) -> None:
    for model, run in done.items():
        queues = {task["task_id"]: task["queue"] for task in cluster.airflow.tasks(model, run)}
        assert {task for task, queue in queues.items() if queue == "gpu"} == {"train"}


def test_the_light_image_parses_the_dags_fast_and_holds_no_ml_library(cluster: Cluster) -> None:
    for service in LIGHT:
        assert json.loads(cluster.compose("exec", "-T", service, "python", "-c", ABSENT, *ML).replace("'", '"')) == []
    checkout = cluster.shell("dag-processor", "ls -d /tmp/airflow/dag_bundles/luodi/tracking_repo").strip()
    parsed = json.loads(
        cluster.compose("exec", "-T", "dag-processor", "python", "-c", PARSE, checkout).splitlines()[-1]
    )
    print(parsed)
    assert parsed["dags"] == sorted(f"retrain_{model}" for model in MODELS)
    assert parsed["seconds"] < 5


def test_to_bring_it_up_again_builds_nothing_and_loses_nothing(cluster: Cluster, done: dict[str, str]) -> None:
    before = {item["Name"]: item["Image"] for item in containers(cluster)}
    cluster.tool.up(cluster.project.root)
    assert {item["Name"]: item["Image"] for item in containers(cluster)} == before
    assert cluster.versions("reviews") == ["reviews@v1.0.0"]
    for image in sorted(set(before.values())):
        (facts,) = json.loads(subprocess.check_output(["docker", "image", "inspect", image]))
        print(f"{facts['RepoTags'][0]}: {facts['Size'] / 1e6:.0f} MB")


def test_every_container_is_confined(cluster: Cluster) -> None:
    for container in containers(cluster):
        name, host = container["Name"], container["HostConfig"]
        assert container["Config"]["User"].partition(":")[0] not in ("", "0", "root"), name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0 and host["PidsLimit"] > 0, name


@pytest.mark.parametrize(
    ("service", "host", "port"),
    [("worker", "postgres", 5432), ("worker-cpu", "postgres", 5432), ("api-server", "redis", 6379),
     ("triggerer", "redis", 6379), ("scheduler", "s3", 9000), ("scheduler", "git", 2222)],
)  # fmt: skip
def test_networks_are_separate(cluster: Cluster, service: str, host: str, port: int) -> None:
    output = cluster.compose("exec", "-T", service, "python", "-c", REACH, host, str(port), check=False)
    assert "socket.gaierror" in output or "timed out" in output


def test_nothing_answers_without_its_secret(cluster: Cluster, done: dict[str, str]) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{cluster.tool.url()}/api/v2/dags")
    refused.value.close()
    assert refused.value.code == 401
    assert cluster.compose("exec", "-T", "worker", "python", "-c", FORGED).strip() == "SignatureDoesNotMatch"
    output = cluster.shell("worker", "ssh -F none -o StrictHostKeyChecking=no -p 2222 git@git 2>&1 || true")
    assert "Permission denied (publickey)" in output
    output = cluster.compose("exec", "-T", "redis", "redis-cli", "keys", "*")
    assert "NOAUTH" in output


def test_dvc_talks_only_to_the_ssh_hosts_that_are_known(cluster: Cluster) -> None:
    """The name of the git server is in known_hosts, its address is not; the key opens git there, and no SFTP."""
    address = cluster.shell("worker", "getent hosts git").split()[0]
    assert "ost key is not trusted" in cluster.shell("worker", PUSH.replace("HOST", address))
    output = cluster.shell("worker", PUSH.replace("HOST", "git"))
    assert "ost key is not trusted" not in output and "SFTP" in output


def test_a_viewer_sees_and_does_not_start_runs(cluster: Cluster) -> None:
    login = {"username": "viewer", "password": secrets.token_urlsafe()}
    person = ("--firstname", "V", "--lastname", "V", "--email", "v@localhost")
    create = ("airflow", "users", "create", "--role", "Viewer", *person)
    cluster.compose(
        "exec", "-T", "api-server", *create, "--username", login["username"], f"--password={login['password']}"
    )
    viewer = cluster.tool.Airflow()
    viewer.token = viewer._send("/auth/token", login, "POST")["access_token"]
    assert {dag["dag_id"] for dag in viewer.call("dags")["dags"]} == {f"retrain_{model}" for model in MODELS}
    with pytest.raises(HTTPError) as refused:
        viewer._send("/api/v2/dags/retrain_reviews/dagRuns", {"logical_date": None}, "POST")
    refused.value.close()
    assert refused.value.code == 403


def test_no_secret_is_in_any_log_image_or_environment(cluster: Cluster, done: dict[str, str]) -> None:
    logs = [cluster.compose("logs", "--no-color")]
    logs += [
        cluster.shell(worker, "find /opt/airflow/logs -type f -exec cat {} +") for worker in ("worker", "worker-cpu")
    ]
    logs.append(
        json.dumps([[item["Config"]["Env"], item["Args"], item["Config"]["Cmd"]] for item in containers(cluster)])
    )
    images = sorted({item["Config"]["Image"] for item in containers(cluster)})
    logs += [subprocess.check_output(["docker", "history", "--no-trunc", image], text=True) for image in images]
    assert "retrain_reviews" in logs[0] and "luodi train" in "".join(logs[1:3])
    names = ("postgres_password", "redis_password", "admin_password", "api_secret_key", "jwt_secret", "fernet_key",
             "s3_secret", "s3_access")  # fmt: skip
    values = {name: cluster.tool.read(name) for name in names}
    for key in ("git_key", "git_host_key"):
        values[key] = cluster.tool.read(key).splitlines()[2]  # of the lines of base64 one that holds the private part
    found = {name for name, value in values.items() if any(value in log for log in logs)}
    assert found == set()


def test_ten_queued_runs_of_two_models_on_two_workers(cluster: Cluster, done: dict[str, str]) -> None:
    """The first run of a model computes everything, the four after it find it done; one run of a model at a time."""
    cluster.reset()
    airflow, started = cluster.airflow, time.time()
    runs = [(model, airflow.trigger(model)) for _ in range(5) for model in MODELS]
    for model, run in runs:
        assert cluster.wait(model, run, 1800) == "success", cluster.story(model, run)
    makespan = time.time() - started
    tasks = [task for model, run in runs for task in airflow.tasks(model, run) if task["duration"]]
    print(
        f"makespan of ten runs: {makespan:.0f} s; sum of their stages: {sum(task['duration'] for task in tasks):.0f} s"
    )
    assert any(
        one["hostname"] != other["hostname"] and one["start_date"] < other["start_date"] < one["end_date"]
        for one in tasks
        for other in tasks
    )
    assert {tuple(cluster.versions(model)) for model in MODELS} == {(f"{model}@v1.0.0",) for model in MODELS}


def test_the_image_for_a_gpu_serves_its_queue(cluster: Cluster, expected: dict[str, Any]) -> None:
    """As far as that is seen without a GPU: CUDA's libraries load, and on the CPU a model comes out as ever."""
    cluster.reset()
    cluster.compose("stop", "worker-cpu")
    try:
        cluster.compose("--profile", "gpu", "up", "--detach", "--build", "--no-deps", "--wait", "worker-gpu")
        assert cluster.compose("exec", "-T", "worker-gpu", "python", "-c", CUDA).splitlines()[-1] == "True"
        run = cluster.airflow.trigger("digits")
        assert cluster.wait("digits", run) == "success", cluster.story("digits", run)
        host = cluster.shell("worker-gpu", "hostname").strip()
        assert cluster.task("digits", run, "train")["hostname"] == host
        assert cluster.landed("digits") == locks.of_model(expected, "digits")
    finally:
        cluster.compose("--profile", "gpu", "rm", "--force", "--stop", "worker-gpu")
        cluster.compose("start", "worker-cpu")
