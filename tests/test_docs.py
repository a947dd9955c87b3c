"""What the pages for people name is there, and the other way round; figures that come from the data are those of it."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import luodi
from luodi import config, errors, yaml12
from luodi.cli.commands import app
from luodi.config import described

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "docker/README.md")
DATA = ROOT / "data"


def page(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def commands() -> Any:
    group: Any = typer.main.get_command(app)
    found = group.commands
    return set(found) | {f"{name} {one}" for name, group in found.items() for one in getattr(group, "commands", ())}


def test_commands_that_are_named_exist() -> None:
    named = set(re.findall(r"(?:`|\$ |bin/|&& )luodi (?!\S*[A-Z@/])([a-z]+)", page(*PAGES)))
    assert named
    assert named <= commands()


def test_commands_that_exist_are_named() -> None:
    stages = set(yaml.safe_load(page("dvc.yaml"))["stages"])
    told = set(re.findall(r"\b(?:luodi |\*\*)([a-z]+)", page(*PAGES)))
    unnamed = {name for name in commands() if " " not in name} - told - stages
    assert unnamed <= {"connect", "up"}  # `make repro` and `make up` run them


def test_settings_that_are_shown_can_be_written_so() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", page("README.md", *map(str, (ROOT / "docs").glob("*.md"))), re.DOTALL)
    assert len(shown) > 2
    for text in shown:
        found = yaml12.parse(text)
        block = found["models"]["reviews"] if "models" in found else found
        config.MODALITIES["text"].model_validate_json(
            json.dumps({"modality": "text", "labels": ["no", "yes"], **block})
        )


def test_blocks_of_code_end() -> None:
    """One that does not turns all that follows inside out. Each says what it is as it begins."""
    for path in [
        *ROOT.glob("*.md"),
        *(one for part in ("docs", "docker", "benchmarks") for one in (ROOT / part).glob("*.md")),
    ]:
        fences = re.findall(r"^ *```(\w*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        wrong = [place for place, name in enumerate(fences) if bool(name) == place % 2]
        assert not wrong and len(fences) % 2 == 0, f"{path.name}: fence {wrong[:1]} of {len(fences)}"


def test_targets_of_make() -> None:
    makefile = page("Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\$ )make ([a-z-]+)", page(*PAGES), re.MULTILINE))
    assert named <= targets
    assert targets - named <= {"help", "data", "clean"}  # `make help` lists them


def test_variables() -> None:
    read = {
        name
        for path in (ROOT / "src" / "luodi").rglob("*.py")
        for name in re.findall(r"environ(?:\.get\(|\[)f?\"(LUODI_\w+|{prefix}\w+)\"", path.read_text(encoding="utf-8"))
    } - {"LUODI_DIE_WITH_LEADER"}  # between luodi's own processes
    assert read
    read = {name.replace("{prefix}", "LUODI_") for name in read}
    assert read == set(re.findall(r"LUODI_[A-Z_]+", page("README.md").replace("LUODI_SHOP_", "LUODI_")))
    cluster = page("docker/compose.yaml", "docker/compose.debian.yaml", "docker/.env.example")
    assert set(re.findall(r"LUODI_[A-Z_]+", page("docker/README.md"))) <= set(re.findall(r"LUODI_[A-Z_]+", cluster))


def test_settings_of_the_cluster() -> None:
    settings = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", page("docker/.env.example"), re.MULTILINE))
    table = page("docker/README.md").partition("## Settings")[2].partition("`docker/secrets/`")[0]
    assert settings
    assert settings <= set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))


def test_files_that_are_named_exist() -> None:
    for name in PAGES:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page(name)):
            assert (ROOT / name).parent.joinpath(link).exists(), f"{name} links to {link}"
        for path in re.findall(r"`((?:benchmarks|tests|docs|dags)/[\w/.-]+\.\w+)`", page(name)):
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_exit_codes() -> None:
    told = page("README.md").partition("## Exit codes")[2].partition("##")[0]
    codes: set[int] = set()
    for first, last in re.findall(r"(?:^|· )\s*(\d+)(?:–(\d+))?", told, re.MULTILINE):
        codes |= set(range(int(first), int(last or first) + 1))
    kinds = vars(errors).values()
    known = {kind.exit_code for kind in kinds if isinstance(kind, type) and issubclass(kind, errors.LuodiError)}
    assert known | {0, 2} == {code for code in codes if code < 128}  # above, signals


def test_every_table_of_figures_names_its_command() -> None:
    figures = page("README.md").partition("## Figures")[2].partition("\n## ")[0]
    for part in re.split(r"(?<=\|)\n\n", figures):
        assert re.search(r"benchmarks/\w+\.py", part), part


def test_writers_of_the_digits() -> None:
    """Those of the part of UCI's data set that scikit-learn has, by its own description."""
    spec = importlib.util.find_spec("sklearn")
    assert spec and spec.origin
    described = (Path(spec.origin).parent / "datasets" / "descr" / "digits.rst").read_text(encoding="utf-8")
    (writers,) = re.findall(r"different (\d+)\s+to the test set", " ".join(described.split()))
    limits = yaml.safe_load(page("params.yaml"))["models"]["digits"]["card"]["limits"]
    assert f"from {writers} writers" in limits[0]


def test_the_page_of_settings_is_that_of_the_package() -> None:
    spec = importlib.util.spec_from_file_location("params", ROOT / "docs" / "params.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert page("docs/params.md") == script.page(), "run `python docs/params.py`"


def test_the_public_surface() -> None:
    assert luodi.__all__ == ["__version__", "load"]
    assert all(hasattr(luodi, name) for name in luodi.__all__)
    assert "`luodi.load`" in page("CONTRIBUTING.md")


def test_every_setting_has_a_description() -> None:
    for kind in config.MODALITIES.values():
        assert not [one.name for one in described.fields(kind) if not one.description]


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "reviews").is_dir() or not (DATA / "digits").is_dir(), reason="needs `luodi fetch`")
def test_figures_of_the_data() -> None:
    import numpy as np
    import pyarrow.parquet as pq

    spec = importlib.util.spec_from_file_location("leakage", ROOT / "benchmarks" / "leakage.py")
    assert spec and spec.loader
    leakage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(leakage)
    readme = " ".join(page("README.md").split())
    reviews, digits = (pq.read_table(DATA / name) for name in ("reviews", "digits"))
    assert f"({len(reviews):,} Chinese reviews, {len(digits):,} handwritten digits)" in readme
    texts, labels = (reviews[name].to_pylist() for name in ("text", "label"))
    counts = np.unique(np.array(texts), return_counts=True)[1]
    assert 0.5 <= 1 - len(counts) / len(texts) < 0.51  # "half of the corpus is duplicates"
    contradicting = sum(len({label for _, label in group}) > 1 for group in grouped(texts, labels))
    assert f"{contradicting} texts carry both labels" in readme
    low, high = re.findall(r"(\d+) to (\d+)% of the test rows have their text in train", readme)[0]
    shares = [leakage.expected(counts), *(leakage.drawn(texts, seed) for seed in range(5))]
    assert (round(100 * min(shares)), round(100 * max(shares))) == (int(low), int(high))


def grouped(texts: list[str], labels: list[str]) -> list[set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for text, label in zip(texts, labels, strict=True):
        found.setdefault(text, set()).add((text, label))
    return list(found.values())
