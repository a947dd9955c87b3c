"""dvc.yaml, params.yaml, the paths, the package's imports and the DAG tell one story."""

import ast
from pathlib import Path

import pytest
import yaml

from luodi import config
from luodi.project import graph
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
PARAMS = config.load(ROOT / "params.yaml")
MODELS = sorted(PARAMS.models)
STAGES = ("validate", "preprocess", "baseline", "train", "evaluate")

# These start a stage, or word its errors: nothing in them can change what a stage writes.
PLUMBING = {"luodi", "luodi.cli", "luodi.errors", "luodi.system.processes"}

# The files of each stage, by the names that ModelPaths gives them.
OUTPUTS = {
    "validate": {"clean", "quarantine", "validation_result", "data_docs", "validation_summary", "validation_report"},
    "preprocess": {"rows", "arrays", "encoder", "preprocess_report", "preprocess_summary"},
    "baseline": {"baseline_scores", "baseline_metrics"},
    "train": {"keras_model", "export", "history"},
    "evaluate": {"metrics", "plots", "sample", "evaluation_report"},
}
UNTRACKED = {"artifacts", "data", "params", "comparison", "cost", "latency"}


def stage_graph(model: str) -> dict[str, dict[str, list[str]]]:
    return graph.stages(ROOT / "dvc.yaml", model, PARAMS.models[model].modality)


def module_file(name: str) -> Path | None:
    base = SRC.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def direct_imports(path: Path) -> set[str]:
    """Names of luodi modules that the code of a file imports when it runs, wherever the import stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "luodi" and module_file(name)}


def imports_of(stage: str, modality: str) -> set[str]:
    """Every luodi module with code that the process of a stage may import; of the modalities, the model's own."""
    others = set(config.MODALITIES) - {modality}
    seen: set[str] = set()
    queue = {f"luodi.stages.{stage}"}
    while queue:
        name = queue.pop()
        seen.add(name)
        path = module_file(name)
        assert path is not None
        queue |= {found for found in direct_imports(path) if not others & set(found.split("."))} - seen
        if name == "luodi.nets.catalogue":  # builds luodi.nets.MODALITY.NAME by its name
            nets = SRC / "luodi" / "nets" / modality
            queue |= {f"luodi.nets.{modality}.{file.stem}" for file in nets.glob("*.py")} - seen
    return {name for name in seen if code(name)}


def code(name: str) -> bool:
    """Whether a module does more than say what it is."""
    path = module_file(name)
    assert path is not None
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_every_package_file_that_the_stage_imports(stage: str, model: str) -> None:
    deps = [ROOT / dep for dep in stage_graph(model)[stage]["deps"]]
    missing = [
        name
        for name in sorted(imports_of(stage, PARAMS.models[model].modality) - PLUMBING)
        if not any(module_file(name) == dep or dep in module_file(name).parents for dep in deps)  # type: ignore[union-attr]
    ]
    assert not missing, f"dvc.yaml: {stage} imports these, but they are not among its deps: {missing}"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_no_file_that_the_stage_does_not_read(stage: str, model: str) -> None:
    imported = {module_file(name) for name in imports_of(stage, PARAMS.models[model].modality)}
    # A stage may need the file of one modality and not of the other: dvc.yaml cannot say so.
    modalities = {f"{modality}.py" for modality in config.MODALITIES}
    idle = [
        dep
        for dep in stage_graph(model)[stage]["deps"]
        if dep.endswith(".py") and ROOT / dep not in imported and Path(dep).name not in modalities
    ]
    assert not idle


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("stage", "page"), [("validate", "validation_{}"), ("preprocess", "preprocess"), ("evaluate", "evaluation")]
)
def test_deps_cover_the_templates_of_the_report(stage: str, page: str, model: str) -> None:
    folder = SRC / "luodi" / "report"
    needed, queue = set(), {f"{page.format(PARAMS.models[model].modality)}.html"}
    while queue:
        name = queue.pop()
        needed.add(name)
        queue |= {other.name for other in folder.iterdir() if f'"{other.name}"' in (folder / name).read_text()} - needed
    deps = {Path(dep).name for dep in stage_graph(model)[stage]["deps"] if dep.startswith("src/luodi/report")}
    assert needed == {name for name in deps if not name.endswith(".py")}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", STAGES)
def test_outs_are_those_of_paths(stage: str, model: str) -> None:
    paths = ModelPaths(Path(), model)
    expected = {getattr(paths, name).as_posix() for name in OUTPUTS[stage]}
    assert set(stage_graph(model)[stage]["outs"]) == expected


def test_every_path_is_the_output_of_one_stage() -> None:
    properties = {name for name, value in vars(ModelPaths).items() if isinstance(value, property)}
    assert properties == set().union(*OUTPUTS.values()) | UNTRACKED
    assert sum(len(names) for names in OUTPUTS.values()) == len(set().union(*OUTPUTS.values()))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("model", MODELS)
def test_params_cover_the_blocks_that_the_stage_reads(model: str, stage: str) -> None:
    """A stage reads its block as `settings.BLOCK`; what it reads must be among its params, and the reverse."""
    read = set()
    for name in imports_of(stage, PARAMS.models[model].modality):
        path = module_file(name)
        assert path is not None
        read |= {
            node.attr.rstrip("_")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "settings"
            and node.attr.rstrip("_") in ("modality", "labels", *STAGES)
        }
    declared = {key.split(".")[2] for key in stage_graph(model)[stage]["params"]}
    assert read <= declared, f"{stage} reads {read - declared}, which its params do not name"
    assert stage in declared


def test_the_stages_of_dvc_yaml_are_those_of_the_package() -> None:
    modules = {path.stem for path in (SRC / "luodi" / "stages").glob("*.py")} - {"__init__"}
    assert set(stage_graph("reviews")) == set(STAGES) == modules
    for block in config.MODALITIES.values():
        assert set(STAGES) <= {(field.alias or name) for name, field in block.model_fields.items()}


@pytest.mark.parametrize("model", MODELS)
def test_commands_are_the_cli_of_the_stage(model: str) -> None:
    raw = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
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
        ("baseline", "evaluate"),
        ("train", "evaluate"),
    }


def test_schedules_and_labels_are_set_for_every_model() -> None:
    for block in PARAMS.models.values():
        assert len(set(block.labels)) == len(block.labels)


def test_dag_files_import_nothing_heavy() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert names <= {"pathlib", "luodi.airflow.factory"}
