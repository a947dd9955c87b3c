"""One version of a library wherever it is installed, everything hashed, no ML library beside the scheduler."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = [*ROOT.glob("requirements*.txt"), *ROOT.glob("docker/requirements-*.txt"), *ROOT.glob("tests/cluster/*.txt")]
ML = {"tensorflow", "keras", "pandas", "numpy", "scipy", "scikit-learn", "onnx", "onnxruntime", "great-expectations"}


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.\[\]-]+)==(\S+)", path.read_text(), re.MULTILINE))


def test_a_library_has_one_version_in_all_files() -> None:
    versions: dict[str, set[str]] = {}
    for path in FILES:
        for name, version in pins(path).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_pin_is_hashed_and_no_index_is_named(path: Path) -> None:
    text = path.read_text()
    assert text.count("==") and len(re.findall(r"==.*\\\n    --hash=sha256:", text)) == len(pins(path))
    assert "://" not in text


def test_the_light_image_gets_no_ml_library_and_the_worker_all_of_make_install() -> None:
    airflow, worker, gpu = (
        pins(ROOT / "docker" / f"requirements-{name}.txt") for name in ("airflow", "worker", "worker-gpu")
    )
    assert not ML & set(airflow)
    drawing = {"vl-convert-python"}  # for `luodi plots`, which a person types
    assert set(airflow) | set(pins(ROOT / "requirements.txt")) - drawing <= set(worker) <= set(gpu)
    assert not {"tensorflow", "keras", "pandas", "scikit-learn", "apache-airflow"} & set(
        pins(ROOT / "docker" / "requirements-serve.txt")
    )
    assert any(name.startswith("nvidia-cudnn") for name in set(gpu) - set(worker))
