"""A module that is imported at its first use costs nothing before."""

import subprocess
import sys
from pathlib import Path

import pytest

from luodi.system import lazy


def test_a_module_runs_when_something_of_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "sleepy"
    package.mkdir()
    (package / "__init__.py").write_text("ran = []\n")
    (package / "inner.py").write_text("import sleepy\nsleepy.ran.append(__name__)\nanswer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    lazy.when_used("sleepy", "inner")
    import sleepy  # type: ignore[import-not-found]  # it was written a moment ago
    from sleepy import inner

    assert sleepy.ran == []
    assert inner.answer == 42
    assert sleepy.ran == ["sleepy.inner"]


def test_what_is_imported_already_stays() -> None:
    import json.decoder

    lazy.when_used("json", "decoder")
    assert sys.modules["json.decoder"] is json.decoder


@pytest.mark.slow
def test_great_expectations_starts_without_the_statistics_of_scipy() -> None:
    code = (
        "import sys; from luodi.system import lazy; lazy.when_used('scipy', 'stats'); import great_expectations; "
        "print('scipy.stats._stats_py' in sys.modules); from scipy import stats; print(stats.norm.cdf(0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0.5"]


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
