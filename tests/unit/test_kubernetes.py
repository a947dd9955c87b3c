"""The files of docker/kubernetes against the schema of Kubernetes, and against one another."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "kubernetes"
PODS = ("pod.yaml", "pod-gpu.yaml")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def container(name: str) -> dict[str, Any]:
    (pod,) = documents(name)
    (only,) = pod["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("name", [*PODS, "secrets.example.yaml"])
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


def test_only_training_asks_for_a_gpu() -> None:
    plain, gpu = (container(name) for name in PODS)
    assert gpu["resources"]["limits"].pop("nvidia.com/gpu") == 1
    assert gpu["image"].replace("worker-gpu", "worker") == plain["image"]
    assert {key: value for key, value in gpu.items() if key != "image"} == {
        key: value for key, value in plain.items() if key != "image"
    }


def test_the_values_name_secrets_pods_and_a_project_that_are_there() -> None:
    (values,) = documents("values.yaml")
    secrets = {
        document["metadata"]["name"]: set(document["stringData"]) for document in documents("secrets.example.yaml")
    }
    assert {"connection", "fernet-key", "api-secret-key", "jwt-secret"} == secrets[values["fernetKeySecretName"]]
    assert values["data"]["metadataSecretName"] == values["apiSecretKeySecretName"] == values["jwtSecretName"]
    assert secrets.keys() >= {volume["secret"]["secretName"] for volume in values["dagProcessor"]["extraVolumes"]}
    named = {
        Path(values["config"]["kubernetes_executor"]["pod_template_file"]).name,
        Path(values["env"][0]["value"]).name,
    }
    assert named == set(PODS)
    for name in PODS:
        env = {item["name"]: item["value"] for item in container(name)["env"]}
        (bundle,) = json.loads(env["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
        assert [bundle] == json.loads(values["config"]["dag_processor"]["dag_bundle_config_list"])
        assert bundle["kwargs"]["repo_url"] == env["LUODI_GIT_URL"]
