"""The graph read from dvc.yaml: placeholders filled, edges where one stage reads what another writes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.project import graph

YAML = """\
stages:
  settings:
    cmd: luodi settings
  first:
    foreach: ${models}
    do:
      cmd: luodi first ${key}
      deps: ["data/${key}", "src/${item.modality}.py"]
      params:
        - params.lock: ["models.${key}.first"]
        - luodi.lock: ["stages.${item.modality}.first"]
        - x
      outs: ["out/${key}/a"]
      metrics: ["out/${key}/m.json"]
      plots: ["out/${key}/p.csv"]
  second:
    foreach: ${models}
    do: {cmd: x, deps: ["out/${key}/a"]}
"""


@pytest.mark.parametrize(("model", "modality"), [("reviews", "text"), ("digits-2", "image")])
def test_placeholders_are_filled(model: str, modality: str, tmp_path: Path) -> None:
    path = tmp_path / "dvc.yaml"
    path.write_text(YAML)
    assert graph.stages(path, model, modality) == {
        "first": {
            "deps": [f"data/{model}", f"src/{modality}.py"],
            "params": [f"params.lock:models.{model}.first", f"luodi.lock:stages.{modality}.first", "params.yaml:x"],
            "outs": [f"out/{model}/a", f"out/{model}/m.json", f"out/{model}/p.csv"],
        },
        "second": {"deps": [f"out/{model}/a"], "params": [], "outs": []},
    }
    assert graph.edges(graph.stages(path, model, modality)) == {("first", "second")}


def test_the_graph_of_the_project_keeps_the_order_of_dvc_yaml() -> None:
    found = graph.stages(Path(__file__).parents[3] / "dvc.yaml", "reviews", "text")
    assert list(found) == ["validate", "preprocess", "baseline", "train", "evaluate"]
    assert "${" not in str(found)


@given(st.lists(st.sets(st.integers(0, 30)), max_size=8))
def test_edges_are_those_of_the_files(reads: list[Any]) -> None:
    """Stage i writes file i and reads the files in `reads[i]`."""
    stages = {str(i): {"deps": [str(n) for n in sorted(read)], "outs": [str(i)]} for i, read in enumerate(reads)}
    expected = {(str(n), str(i)) for i, read in enumerate(reads) for n in read if n < len(reads)}
    assert graph.edges(stages) == expected
