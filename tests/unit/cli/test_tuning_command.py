"""`luodi tune MODEL`, also of a model that has the name of one of its commands."""

from typing import Any

import pytest
import typer

from luodi.cli import tuning


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        (["reviews"], ["run", "reviews"]),
        (["run", "reviews", "--if-set"], ["run", "reviews", "--if-set"]),
        (["status", "reviews"], ["status", "reviews"]),
        (["status", "--help"], ["status", "--help"]),
        (["status", "--if-set"], ["run", "status", "--if-set"]),  # what dvc.yaml runs of a model named status
        (["run", "--if-set"], ["run", "run", "--if-set"]),
    ],
)
def test_a_model_may_be_named_as_a_command_is(given: list[str], runs: list[str]) -> None:
    group: Any = typer.main.get_command(tuning.app)
    group = group.commands["tune"]
    name, _, rest = group.resolve_command(typer.Context(group), given)
    assert [name, *rest] == runs
