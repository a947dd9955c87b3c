"""The Airflow DAGs of the project: `retrain_MODEL` for every model in params.yaml."""

from pathlib import Path

from luodi.airflow.factory import retrain_dags

globals().update(retrain_dags(Path(__file__).resolve().parent.parent))
