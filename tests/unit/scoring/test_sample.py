"""The sample of a version: what was predicted once is predicted again, or the version is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luodi.errors import RegistryError
from luodi.nets import cost
from luodi.scoring import sample


class Answers:
    """A classifier of two classes whose answers depend on the item's length and on a shift."""

    def __init__(self, shift: float = 0.0, classes: int = 2) -> None:
        self.shift, self.classes = shift, classes

    def probabilities(self, items: list[Any]) -> np.ndarray:
        first = np.array([1 / (2 + len(item)) + self.shift for item in items])
        rest = np.repeat(((1 - first) / (self.classes - 1))[:, None], self.classes - 1, 1)
        return np.concatenate([first[:, None], rest], 1).astype(np.float32)


@pytest.mark.parametrize("items", [["质量很好", "一般"] * 50, ["a"], [b"\x89PNG" + bytes(n) for n in range(40)]])
def test_the_same_answers_pass(tmp_path: Path, items: Any) -> None:
    answers: Any = Answers()
    sample.write(tmp_path / "sample.json", answers, items)
    assert sample.check(tmp_path / "sample.json", answers, "m@v1.0.0") == min(len(items), sample.ROWS)


def test_it_is_spread_over_the_items(tmp_path: Path) -> None:
    answers: Any = Answers()
    sample.write(tmp_path / "sample.json", answers, [str(n) for n in range(1000)])
    items = json.loads((tmp_path / "sample.json").read_text())["texts"]
    assert (items[0], items[-1], len(set(items))) == ("0", "999", sample.ROWS)


@pytest.mark.parametrize(("shift", "same"), [(1e-6, True), (2e-4, False), (-0.01, False), (float("nan"), False)])
def test_other_answers_are_refused_rounding_is_not(tmp_path: Path, shift: Any, same: bool) -> None:
    path = tmp_path / "sample.json"
    answers: Any = Answers()
    others: Any = Answers(shift)
    sample.write(path, answers, ["好", "不好", "还可以"])
    if same:
        assert sample.check(path, others, "m@v1.0.0") == 3
    else:
        with pytest.raises(RegistryError, match=r"m@v1\.0\.0 does not predict its sample as it did"):
            sample.check(path, others, "m@v1.0.0")


def test_a_model_that_answers_otherwise_when_it_was_made_has_a_tolerance_of_its_own(tmp_path: Path) -> None:
    """Twice as much as it differed by; the next one is refused as ever."""
    path = tmp_path / "sample.json"
    answers: Any = Answers()
    plain: Any = Answers(0.001)
    sample.write(path, answers, ["好", "不好"], plain)
    assert json.loads(path.read_text())["tolerance"] == pytest.approx(0.0021, abs=1e-4)
    for shift, same in ((0.0018, True), (0.004, False)):
        others: Any = Answers(shift)
        if same:
            assert sample.check(path, others, "m@v1.0.0") == 2
        else:
            with pytest.raises(RegistryError, match="does not predict its sample"):
                sample.check(path, others, "m@v1.0.0")


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    answers: Any = Answers()
    others: Any = Answers(classes=3)
    sample.write(tmp_path / "sample.json", answers, ["好"])
    with pytest.raises(RegistryError, match="does not predict its sample"):
        sample.check(tmp_path / "sample.json", others, "m@v1.0.0")


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"\xff", b'{"texts": 1}'])
def test_a_broken_sample_is_refused(tmp_path: Path, content: Any) -> None:
    path: Path = tmp_path / "sample.json"
    answers: Any = Answers()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RegistryError, match=r"the sample of m@v1\.0\.0 cannot be read"):
        sample.check(path, answers, "m@v1.0.0")


def zone(folder: Path, name: str, energy: int, limit: int) -> None:
    (folder / name).mkdir()
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{limit}\n")


def test_energy_is_that_of_whole_packages(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 5, 100)
    zone(tmp_path, "intel-rapl:0:1", 3, 100)  # a part of package 0
    zone(tmp_path, "intel-rapl:1", 7, 100)
    assert cost.energy(tmp_path) == {"intel-rapl:0": (5, 100), "intel-rapl:1": (7, 100)}
    assert cost.energy(tmp_path / "nowhere") == {}


def test_the_joules_of_a_block_survive_the_counter_starting_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone(tmp_path, "intel-rapl:0", 90_000_000, 99_999_999)
    monkeypatch.setattr(cost.energy, "__defaults__", (tmp_path,))
    with cost.measured() as spent:
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("2500000")
    assert spent["joules"] == 12.5
    assert 0 <= spent["seconds"] < 5


def test_what_cannot_be_measured_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost.energy, "__defaults__", (tmp_path,))
    with cost.measured() as spent:
        pass
    assert spent["joules"] is None
