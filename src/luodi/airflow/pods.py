"""What the pod of a task asks of Kubernetes: memory as params.yaml says, more of it with each retry.

The resources of a pod that Airflow is given take the place of those in its template whole, a GPU among them. So what is
wanted goes into the pod's annotations, and `set_memory`, which Airflow calls on each pod before it starts, does it.
"""

from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from luodi import config

if TYPE_CHECKING:
    from kubernetes.client.models import V1Pod  # type: ignore[import-not-found, unused-ignore]

FIRST, MOST = "luodi/memory-gb", "luodi/most-memory-gb"  # names of annotations


def executor_config(task: config.Task) -> dict[str, Any]:
    """Return what Airflow gives its executor beside a task: nothing, unless that is Kubernetes and memory is set."""
    if task.memory_gb is None or "Kubernetes" not in conf.get("core", "executor"):
        return {}
    from kubernetes.client.models import V1ObjectMeta, V1Pod

    most = max(task.memory_gb, task.most_memory_gb or 0)
    return {"pod_override": V1Pod(metadata=V1ObjectMeta(annotations={FIRST: str(task.memory_gb), MOST: str(most)}))}


def set_memory(pod: "V1Pod") -> None:
    """Let a pod ask for what its annotations say, twice as much with each retry: Airflow's `pod_mutation_hook`.

    Whatever the try before ended by: a container that ran out of memory is gone before it can say so, and Airflow
    learns no more than that its pod failed.
    """
    said = pod.metadata.annotations or {}
    if FIRST not in said:
        return
    gib = min(float(said[FIRST]) * 2 ** (int(said["try_number"]) - 1), float(said[MOST]))
    resources = pod.spec.containers[0].resources
    for asked in ("requests", "limits"):
        setattr(resources, asked, {**(getattr(resources, asked) or {}), "memory": f"{gib:g}Gi"})
