"""The files of docker/kubernetes against the schema of Kubernetes, and against one another."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / "docker" / "kubernetes"
PODS = ("pod.yaml", "pod-gpu.yaml")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def container(name: str) -> dict[str, Any]:
    (pod,) = documents(name)
    (only,) = pod["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("name", [*PODS, "serve.yaml", "secrets.example.yaml"])
def test_manifests_are_valid(name: str) -> None:
    for document in documents(name):
        kubernetes_validate.validate(document, "1.29", strict=True)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_confined_and_writes_only_where_it_says(name: str) -> None:
    (pod,) = documents(name)
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    confined = container(name)["securityContext"]
    assert confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"]
    assert confined["capabilities"] == {"drop": ["ALL"]}
    mounted = {mount["name"] for mount in container(name)["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_the_server_is_confined_and_is_asked_where_it_answers() -> None:
    deployment, service = documents("serve.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and server["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["name"] for mount in server["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert {probe["httpGet"]["path"] for key, probe in server.items() if key.endswith("Probe")} == {
        "/v2/health/live", "/v2/health/ready"
    }  # fmt: skip
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    secrets = {document["metadata"]["name"]: document["stringData"] for document in documents("secrets.example.yaml")}
    (volume,) = (one for one in pod["volumes"] if one["name"] == "secrets")
    assert {source["secret"]["name"] for source in volume["projected"]["sources"]} <= set(secrets)
    assert "serve_token" in secrets["luodi-serve"]


def test_only_training_asks_for_a_gpu() -> None:
    plain, gpu = (container(name) for name in PODS)
    assert gpu["resources"]["limits"].pop("nvidia.com/gpu") == 1
    assert gpu["image"].replace("worker-gpu", "worker") == plain["image"]
    assert {key: value for key, value in gpu.items() if key != "image"} == {
        key: value for key, value in plain.items() if key != "image"
    }


# What the chart looks up in each Secret that the values name.
SECRETS = {
    "metadataSecretName": "connection",
    "fernetKeySecretName": "fernet-key",
    "apiSecretKeySecretName": "api-secret-key",
    "jwtSecretName": "jwt-secret",
}


def test_the_values_name_secrets_pods_and_a_project_that_are_there() -> None:
    (values,) = documents("values.yaml")
    secrets = {
        document["metadata"]["name"]: set(document["stringData"]) for document in documents("secrets.example.yaml")
    }
    named = {**values, **values["data"]}
    assert {(named[setting], key) for setting, key in SECRETS.items()} == {
        ("luodi-airflow", key) for key in secrets["luodi-airflow"]
    }
    for part in ("apiServer", "dagProcessor", "triggerer"):
        volumes = {volume["name"]: volume["secret"]["secretName"] for volume in values[part]["extraVolumes"]}
        for mount in values[part]["extraVolumeMounts"]:
            assert mount["subPath"] in secrets[volumes[mount["name"]]]
    env = {item["name"]: item["value"] for item in values["env"]}
    templates = {values["config"]["kubernetes_executor"]["pod_template_file"], env["LUODI_GPU_POD"]}
    (mount,) = values["scheduler"]["extraVolumeMounts"]
    assert templates == {f"{mount['mountPath']}/{name}" for name in PODS}
    for name in PODS:
        env = {item["name"]: item["value"] for item in container(name)["env"]}
        (bundle,) = json.loads(env["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
        assert [bundle] == values["dagProcessor"]["dagBundleConfigList"]
        assert bundle["kwargs"]["repo_url"] == env["LUODI_GIT_URL"]


def test_what_the_chart_assumes_of_its_own_image_is_replaced() -> None:
    (values,) = documents("values.yaml")
    for part in ("scheduler", "dagProcessor", "triggerer"):
        assert values[part]["livenessProbe"]["command"][0] == "airflow"  # the chart's is /entrypoint
        assert not values[part]["logGroomerSidecar"]["enabled"]  # it runs /clean-logs
    assert values["scheduler"]["startupProbe"]["command"][0] == "airflow"
    assert values["airflowLocalSettings"] is None  # the chart's would hide the image's
    executor = values["config"]["kubernetes_executor"]  # an image there would replace that of the pods
    assert executor["worker_container_repository"] == executor["worker_container_tag"] == ""


def test_settings_are_of_one_line() -> None:
    """The chart writes them into a ConfigMap without indenting a second line."""
    (values,) = documents("values.yaml")
    assert not [key for section in values["config"].values() for key, value in section.items() if "\n" in str(value)]
