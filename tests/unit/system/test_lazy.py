"""A module that is imported at its first use costs nothing before."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from luodi.system import lazy


@pytest.mark.parametrize("module", ["sleepy", "sleepy.inner"])
def test_a_module_runs_when_something_of_it_is_used(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(sys, "ran", ran, raising=False)
    package = tmp_path / "sleepy"
    package.mkdir()
    source = "import sys\nsys.ran.append(__name__)\nanswer = 42\n"
    (package / "__init__.py").write_text("" if "." in module else source)
    (package / "inner.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [lazy.WhenUsed(module), *sys.meta_path])
    for one in ("sleepy", "sleepy.inner"):
        monkeypatch.delitem(sys.modules, one, raising=False)
    found = import_module(module)
    assert ran == []
    assert found.answer == 42
    assert ran == [module]


def test_a_module_that_waits_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [lazy.WhenUsed("sleepless"), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError):
        import_module("sleepless")


@pytest.mark.slow
def test_great_expectations_starts_without_what_luodi_does_not_use() -> None:
    code = (
        "import sys; from luodi.checks import engine; print({'scipy.stats._stats_py', 'altair.vegalite'} & "
        "{*sys.modules}); from scipy import stats; print(stats.norm.cdf(0)); import altair; "
        "print(altair.Chart().mark_bar().mark)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "0.5", "bar"]


def test_a_package_does_without_what_is_not_needed_and_others_get_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frugal.py").write_text(
        "from importlib.util import find_spec\nplace = find_spec('colossal').origin\n"  # as PyTorch does
        "try:\n    import colossal\nexcept ImportError:\n    colossal = None\n"
    )
    (tmp_path / "colossal.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [lazy.Unneeded("frugal", "colossal"), *sys.meta_path])
    import frugal  # type: ignore[import-not-found]  # it was written a moment ago

    assert (frugal.place, frugal.colossal) == (None, None)
    import colossal  # type: ignore[import-not-found]

    assert sys.modules["colossal"] is colossal


def test_keras_starts_without_scikit_learn_and_data_frames_which_work_afterwards() -> None:
    code = (
        "import sys; import luodi.nets, keras; print(*{'sklearn', 'pandas'} & {*sys.modules}, sep='/'); "
        "import pandas; from sklearn.svm import LinearSVC; print(pandas.DataFrame({'a': [1]}).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["", "(1, 1)", ""]
