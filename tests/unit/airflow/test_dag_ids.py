"""What DAGs are called, and what is read of it: which project, which model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.airflow import dag_ids

NAMES = st.from_regex(r"[a-z]([a-z0-9_-]*[a-z0-9])?", fullmatch=True)


@given(NAMES, st.just("") | st.from_regex(r"[a-z]([a-z0-9_]*[a-z0-9])?", fullmatch=True))
def test_project_and_model_are_read_of_an_id(model: str, project: str) -> None:
    found = dag_ids.dag_id("retrain", model, project)
    assert (dag_ids.project(found), dag_ids.model(found, "retrain")) == (project, model)
    assert dag_ids.is_of(found, "ingest", "retrain")
    assert not dag_ids.is_of(found, "ingest", "watch")


@pytest.mark.parametrize("name", ["mine", "team.mine", "retrain.mine", "shop.retrain"])
def test_a_dag_of_somebody_else_is_none_of_ours(name: str) -> None:
    assert not dag_ids.is_of(name, "retrain", "ingest")
