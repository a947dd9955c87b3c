"""dvc.yaml, params.yaml, the paths, the package's imports and the DAG tell one story."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from luodi import config
from luodi.config import locked
from luodi.project import fingerprints, graph
from luodi.project.paths import ModelPaths
from luodi.scaffold import pipeline

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
PARAMS = config.load(ROOT / "params.yaml")
MODELS = sorted(PARAMS.models)
STAGES = ("validate", "tune", "preprocess", "baseline", "train", "compress", "evaluate")

# The files of each stage, by the names that ModelPaths gives them.
OUTPUTS = {
    "validate": {"clean", "quarantine", "validation_result", "data_docs", "validation_summary", "validation_report"},
    "tune": {"best_params", "study", "tuning_report"},
    "preprocess": {"rows", "encoder", "nearest", "preprocess_report", "preprocess_summary"},
    "baseline": {
        "baseline_export",
        "baseline_validation",
        "baseline_out_of_fold",
        "baseline_scores",
        "baseline_metrics",
    },
    "train": {"net", "trained", "history", "choice", "out_of_fold"},
    "compress": {"compressed", "candidates"},
    "evaluate": {"headline", "metrics", "mistakes", "plots", "sample", "evaluation_report"},
}
UNTRACKED = {
    "artifacts",
    "data",
    "params",
    "comparison",
    "candidates_latency",
    "cost",
    "export",
    "keras_model",
    "latency",
}  # or within another


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dvc.yaml with every stage, as it is where a model is tuned."""
    path = tmp_path_factory.mktemp("whole") / "dvc.yaml"
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    path.write_text(pipeline.updated(text, PARAMS.models, asked=tuple(pipeline.OPTIONAL)), encoding="utf-8")
    return path


def stage_graph(model: str, path: Path = ROOT / "dvc.yaml") -> Any:
    return graph.stages(path, model, PARAMS.models[model].modality)


def module_file(name: str) -> Path:
    base = SRC.joinpath(*name.split("."))
    return next(path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_fingerprint_and_the_settings_in_effect(stage: str, model: str, whole: Path) -> None:
    modality = PARAMS.models[model].modality
    found = stage_graph(model, whole)[stage]
    assert not [dep for dep in found["deps"] if not dep.startswith(("data/", "artifacts/"))]
    code, *settings = found["params"]
    assert code == f"luodi.lock:stages.{modality}.{stage}"
    assert settings[:2] == [f"params.lock:models.{model}.{key}" for key in ("modality", "labels")]
    assert f"params.lock:models.{model}.{stage}" in settings


def test_the_lock_files_are_of_this_luodi_and_these_settings() -> None:
    """After a change of the package or of params.yaml: `luodi upgrade`."""
    assert (ROOT / fingerprints.NAME).read_text(encoding="utf-8") == fingerprints.text()
    assert (ROOT / locked.NAME).read_text(encoding="utf-8") == locked.text(ROOT, PARAMS)


def test_dvc_yaml_is_that_of_every_project() -> None:
    """The template, with the plots of these models: what `luodi init` and `luodi add` give."""
    assert pipeline.updated(pipeline.template(), PARAMS.models) == (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert (ROOT / "dags" / "retrain.py").read_text() == (pipeline.TEMPLATES / "retrain.py").read_text()
    assert (ROOT / ".dvc" / "config").read_text() == (pipeline.TEMPLATES / "dvc_config").read_text()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", STAGES)
def test_outs_are_those_of_paths(stage: str, model: str, whole: Path) -> None:
    paths = ModelPaths(Path(), model)
    expected = {getattr(paths, name).as_posix() for name in OUTPUTS[stage]}
    assert set(stage_graph(model, whole)[stage]["outs"]) == expected


def test_every_path_is_the_output_of_one_stage() -> None:
    properties = {name for name, value in vars(ModelPaths).items() if isinstance(value, property)}
    assert properties == set().union(*OUTPUTS.values()) | UNTRACKED
    assert sum(len(names) for names in OUTPUTS.values()) == len(set().union(*OUTPUTS.values()))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("model", MODELS)
def test_params_cover_the_blocks_that_the_stage_reads(model: str, stage: str, whole: Path) -> None:
    """A stage reads its block as `settings.BLOCK`; what it reads must be among its params, and the reverse."""
    read = set()
    for name in fingerprints.closure(f"luodi.stages.{stage}", PARAMS.models[model].modality):
        path = module_file(name)
        read |= {
            node.attr.rstrip("_")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "settings"
            and node.attr.rstrip("_") in ("modality", "labels", "gate", *STAGES)
        }
    declared = {key.split(".")[-1] if key.endswith(("modality", "labels")) else key.split(".")[3]
                for key in stage_graph(model, whole)[stage]["params"] if key.startswith("params.lock:")}  # fmt: skip
    assert read <= declared, f"{stage} reads {read - declared}, which its params do not name"
    assert stage in declared


def test_the_stages_of_dvc_yaml_are_those_of_the_package(whole: Path) -> None:
    modules = {path.stem for path in (SRC / "luodi" / "stages").glob("*.py")} - {"__init__"}
    assert set(stage_graph("reviews")) == set(STAGES) - set(pipeline.OPTIONAL)
    assert set(stage_graph("reviews", whole)) == set(STAGES) == set(fingerprints.STAGES) == modules
    for block in config.MODALITIES.values():
        assert set(STAGES) <= {(field.alias or name) for name, field in block.model_fields.items()}


@pytest.mark.parametrize("model", MODELS)
def test_commands_are_the_cli_of_the_stage(model: str, whole: Path) -> None:
    raw = yaml.safe_load(whole.read_text())["stages"]
    assert raw["tune"]["do"].pop("cmd") == "luodi tune ${key} --if-set"
    raw["tune"]["do"]["cmd"] = "luodi tune ${key}"
    assert raw.pop("settings")["cmd"] == "luodi settings"
    assert {stage: body["do"]["cmd"] for stage, body in raw.items()} == {
        stage: f"luodi {stage} ${{key}}" for stage in STAGES
    }
    assert all(body["foreach"] == "${models}" for body in raw.values())


@pytest.mark.parametrize("model", MODELS)
def test_edges(model: str) -> None:
    assert graph.edges(stage_graph(model)) == {
        ("validate", "preprocess"),
        ("preprocess", "baseline"),
        ("preprocess", "train"),
        ("preprocess", "evaluate"),
        ("baseline", "train"),
        ("baseline", "evaluate"),
        ("train", "evaluate"),
    }


@pytest.mark.parametrize("model", MODELS)
def test_edges_where_a_model_is_tuned_and_compressed(model: str, whole: Path) -> None:
    assert graph.edges(stage_graph(model, whole)) - graph.edges(stage_graph(model)) == {
        ("validate", "tune"),
        ("tune", "preprocess"),
        ("tune", "train"),
        ("tune", "compress"),
        ("preprocess", "compress"),
        ("train", "compress"),
        ("compress", "evaluate"),
    }


def test_without_such_a_model_dvc_yaml_is_what_it_was(whole: Path) -> None:
    assert pipeline.updated(whole.read_text(encoding="utf-8"), PARAMS.models) == (ROOT / "dvc.yaml").read_text()


def test_schedules_and_labels_are_set_for_every_model() -> None:
    for block in PARAMS.models.values():
        assert len(set(block.labels)) == len(block.labels)


def test_dag_files_import_nothing_heavy() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert names <= {"pathlib", "luodi.airflow.factory"}


@pytest.mark.slow
def test_the_quick_tests_are_collected_without_what_takes_seconds() -> None:
    """Each worker of pytest collects them all."""
    heavy = {"airflow", "great_expectations", "keras", "scipy.stats", "sklearn", "tensorflow"}
    code = f"import sys, pytest; pytest.main(sys.argv[1:]); print(sorted({heavy} & set(sys.modules)))"
    quick = (
        "--collect-only",
        "-qq",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow and not cluster and not proof",
        "tests/unit",
    )
    done = subprocess.run([sys.executable, "-c", code, *quick], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
