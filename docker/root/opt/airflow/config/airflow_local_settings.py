"""Where tasks run: a cluster policy, which Airflow applies to every DAG that it parses."""

import os

from airflow.sdk import BaseOperator


def task_policy(task: BaseOperator) -> None:
    """Training goes to the machine with the GPU: on Celery by its queue, on Kubernetes by its pod."""
    if getattr(task, "stage", None) == "train":
        task.queue = "gpu"
        if pod := os.environ.get("LUODI_GPU_POD"):
            task.executor_config = {"pod_template_file": pod}
