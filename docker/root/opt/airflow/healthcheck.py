"""Whether this container does its work: `healthcheck.py ROLE`, the role one of CHECKS, dag_processor or triggerer."""

import json
import os
import socket
import sys
from pathlib import Path
from urllib.request import urlopen


def scheduler() -> bool:
    with urlopen("http://localhost:8974/health", timeout=10) as answer:
        return answer.status == 200


def monitor(component: str) -> bool:
    """The API server knows from the database who sent a heartbeat lately; asking it is cheaper than Airflow's CLI."""
    url = "http://localhost:8080" if component == "metadatabase" else os.environ["LUODI_API_URL"]
    with urlopen(f"{url}/api/v2/monitor/health", timeout=10) as answer:
        return json.load(answer)[component]["status"] == "healthy"


def worker() -> bool:
    """Whether the worker answers over the broker."""
    from celery import Celery

    app = Celery(broker=Path("/run/secrets/broker_url").read_text().strip())
    return bool(app.control.inspect([f"celery@{socket.gethostname()}"], timeout=10).ping())


CHECKS = {"api-server": lambda: monitor("metadatabase"), "scheduler": scheduler, "worker": worker}
role = sys.argv[1]
sys.exit(0 if CHECKS.get(role, lambda: monitor(role))() else 1)
