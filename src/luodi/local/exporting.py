"""A version in the form of other tools: a repository of the Hugging Face Hub, or a model of MLflow."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from luodi.errors import LuodiError
from luodi.files import replacing_folder, write_text
from luodi.local import delivery
from luodi.local.hub import KINDS
from luodi.project.origin import Origin
from luodi.registry.classifier import EXAMPLE, pulled_facts
from luodi.registry.tags import Version
from luodi.report.formatting import at, part, text
from luodi.system.processes import Runner

LOADER = "mlflow_model.py"
CODE = (EXAMPLE, "tokenizer.json")  # the former looks for the latter beside itself
WRITTEN = {
    "huggingface": {"README.md", *delivery.WRITTEN},
    "mlflow": {
        "MLmodel", "requirements.txt", "python_env.yaml",
        *(f"code/{name}" for name in (*CODE, LOADER)), *(f"data/{name}" for name in delivery.WRITTEN),
    },
}  # fmt: skip
"""The files that a folder of each form may hold."""

ANSWER = (
    {"type": "string", "name": "label", "required": True},
    {"type": "double", "name": "probability", "required": True},
)
USE = """
## How to use it

Download this repository; Python with NumPy and ONNX Runtime{also} is enough:

    python example.py {given}

`example.py` says how the input of `model.onnx` is made; with luodi installed, `luodi.load(folder)` is the same in less
time.
"""


def export(origin: Origin, version: Version, form: str, folder: Path, runner: Runner) -> None:
    """Write a version into `folder`, made anew, in one of the forms of `WRITTEN`.

    Raises:
        LuodiError: The folder holds something else than an earlier export of that form.
        RegistryError: The files are not those that were registered, or this code reads them otherwise.
        RemoteError: The DVC remote cannot be used.
    """
    if folder.exists() and not (folder.is_dir() and (_exported(folder, form) or not any(folder.iterdir()))):
        raise LuodiError(f"{folder} holds something else than an export for {form}: name a new or an empty folder")
    with replacing_folder(folder.resolve()) as temporary:
        pulled = temporary / "data"
        delivery.deploy(origin, version, pulled, runner)
        encoder = json.loads((pulled / "encoder.json").read_text(encoding="utf-8"))
        write = {"huggingface": huggingface, "mlflow": mlflow}[form]
        write(version, encoder, pulled, temporary)


def _exported(folder: Path, form: str) -> bool:
    """Whether an earlier export made the folder: it says of what version, and holds nothing of anybody else's."""
    files = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    known = all(name in WRITTEN[form] or "__pycache__" in name for name in files)
    return known and pulled_facts(folder / "data" if form == "mlflow" else folder) is not None


# The Hub


def huggingface(version: Version, encoder: Mapping[str, Any], pulled: Path, folder: Path) -> None:
    """A repository of the Hub is what was pulled, the card, which begins with metadata, as README.md."""
    for file in pulled.iterdir():
        file.rename(folder / file.name)
    pulled.rmdir()
    card = (folder / "card.md").read_text(encoding="utf-8")
    (folder / "card.md").unlink()
    use = USE.format(also="".join(f", {name}" for name in _also(encoder)), given=KINDS[encoder["modality"]].given)
    write_text(folder / "README.md", f"{card}{use}")


# MLflow


def mlflow(version: Version, encoder: Mapping[str, Any], pulled: Path, folder: Path) -> None:
    """What was pulled, and around it MLmodel, the code that answers, and the libraries that it needs.

    The form is that of "MLflow Models: storage format" at mlflow.org. It is written here because MLflow itself asks for
    older releases of libraries than luodi's others do.
    """
    code = folder / "code"
    code.mkdir()
    for name in CODE:
        if (pulled / name).exists():
            (pulled / name).rename(code / name)
    shutil.copyfile(Path(__file__).with_name(LOADER), code / LOADER)
    environment, modality = part(version.facts, "environment"), encoder["modality"]
    python = text(at(environment, "python"))
    needs = [_pinned(name, environment) for name in ("numpy", "onnxruntime", "pandas", *_also(encoder))]
    write_text(folder / "requirements.txt", "".join(f"{line}\n" for line in needs))
    _write_yaml(folder / "python_env.yaml", {"python": python, "dependencies": ["-r requirements.txt"]})
    function = {"loader_module": Path(LOADER).stem, "code": "code", "data": pulled.name, "python_version": python}
    given = {"type": KINDS[modality].type, "name": modality, "required": True}
    model = {
        "flavors": {"python_function": {**function, "env": {"virtualenv": "python_env.yaml"}}},
        "metadata": {"made_by": "luodi", "version": version.name, "commit": version.commit},
        "model_uuid": text(version.export),
        "signature": {"inputs": json.dumps([given]), "outputs": json.dumps(ANSWER)},
        "utc_time_created": f"{version.registered:%Y-%m-%d %H:%M:%S.%f}",
    }
    _write_yaml(folder / "MLmodel", model)


def _pinned(name: str, environment: Mapping[str, Any]) -> str:
    """The release that the version was trained with, where the tag says it."""
    release = at(environment, "libraries", name)
    return f"{name}=={release}" if isinstance(release, str) else name


def _also(encoder: Mapping[str, Any]) -> Sequence[str]:
    """Libraries by which some encoders read, beside NumPy."""
    if "channels" in encoder:
        return ("pillow",)
    return {"word": ("jieba",), "subwords": ("tokenizers",)}.get(encoder["tokenizer"], ())


def _write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    write_text(path, yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
