"""Where tasks run: cluster policies, which Airflow applies to every DAG that it parses, and to every pod."""

import os

from airflow.configuration import conf
from airflow.sdk import BaseOperator

from luodi.airflow.pods import set_memory as pod_mutation_hook

__all__ = ["pod_mutation_hook", "task_policy"]


def task_policy(task: BaseOperator) -> None:
    """Training goes to the machine with the GPU: on Celery by its queue, on Kubernetes by its pod."""
    if getattr(task, "stage", None) in ("tune", "train"):
        if task.queue == conf.get("operators", "default_queue"):
            task.queue = "gpu"
        if pod := os.environ.get("LUODI_GPU_POD"):
            task.executor_config = {**task.executor_config, "pod_template_file": pod}
