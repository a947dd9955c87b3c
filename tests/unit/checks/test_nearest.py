"""How near test rows come to train rows: all pairs that are near are found, in bounded time."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from luodi.checks import nearest
from luodi.checks.text import nearest as of_texts
from luodi.data import image


def find(modality: str, test: list[Any], train: list[Any], batch: int = 7) -> tuple[list[int], list[float]]:
    kind = pa.string() if modality == "text" else pa.large_binary()
    column = pa.array(train, kind)
    batches = [column.slice(start, batch) for start in range(0, len(train), batch)]
    found, similarity = nearest.of(modality).nearest(
        pa.array(test, kind), lambda: batches, lambda places: column.take(pa.array(places))
    )
    return found.tolist(), similarity.tolist()


def grams(text: str) -> set[str]:
    return {text[start : start + 4] for start in range(len(text))}


@pytest.mark.slow
def test_the_nearest_text_is_the_one_that_shares_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of 60 letters, of which copies differ in 0 to 5 places: beside all pairs compared one by one."""
    rng = np.random.default_rng(0)
    known = [rng.integers(0x4E00, 0x4E80, 60) for _ in range(300)]
    test = []
    for row, points in enumerate(known):
        changed = points.copy()
        changed[rng.permutation(60)[: row % 6]] = 0x4F00 + row % 100
        test.append("".join(map(chr, changed)))
    train = ["".join(map(chr, points)) for points in known]
    expected = [max(len(grams(one) & grams(other)) / len(grams(one) | grams(other)) for other in train) for one in test]
    found, similarity = find("text", test, train, 100)
    near = np.array(expected) >= 0.5
    assert near.sum() > 200
    assert (np.array(found)[near] == np.flatnonzero(near)).mean() > 0.98
    assert np.isclose(np.array(similarity)[near], np.array(expected)[near]).mean() > 0.98


def test_case_signs_and_numbers_make_no_other_text() -> None:
    found, similarity = find(
        "text", ["Order 17 was SHIPPED!", "nothing of the kind"], ["a b c d", "order 4321 was shipped"]
    )
    assert (found, similarity) == ([1, -1], [1.0, 0.0])


def test_texts_of_one_template_cost_no_more_than_others() -> None:
    """Each of 400 test texts is near to each of 4,000 train texts: few pairs are compared, and near ones are found."""
    words = ["".join(map(chr, np.random.default_rng(seed).integers(97, 123, 7))) for seed in range(400)]
    test = pa.array([f"dear customer, your parcel from {word} was handed over today" for word in words])
    train = [f"dear customer, your parcel from {word[::-1]} was handed over today" for word in words * 10]
    index, pairs = of_texts._Index(test), Counter[int]()
    for start in range(0, len(train), 1000):
        found = index.candidates(pa.array(train[start : start + 1000]), start)
        pairs.update(found[:, 1].astype(int).tolist())
    assert max(pairs.values()) <= of_texts.MET * of_texts.BANDS
    similarity = find("text", test.to_pylist(), train, 1000)[1]
    assert min(similarity) > 0.6


@pytest.mark.parametrize("modality", ["text", "image"])
def test_without_rows_nothing_is_near(modality: str) -> None:
    assert find(modality, [], []) == ([], [])
    assert find("text", ["anything"], []) == ([-1], [0.0])


def drawing(seed: int, side: int = 40) -> Image.Image:
    picture, rng = Image.new("L", (side, side), 255), np.random.default_rng(seed)
    for one, other in itertools.pairwise(rng.integers(0, 40, (6, 2)) * side // 40):
        ImageDraw.Draw(picture).line((*one.tolist(), *other.tolist()), fill=0, width=3 * side // 40)
    return picture


def test_the_nearest_image_is_the_one_that_looks_most_alike() -> None:
    test = [image.png(drawing(seed).resize((80, 80)).resize((40, 40))) for seed in range(30)]
    train = [image.png(drawing(seed)) for seed in range(20)]
    found, similarity = find("image", test, train)
    assert found[:20] == list(range(20))
    assert min(similarity[:20]) >= 1 - 8 / 64 > max(similarity[20:])


def test_what_is_written_is_counted_and_the_worst_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {"the same": 0.9, "alike": 0.5}
    table = nearest.table(np.array([3, 5, 8]), np.array([1, -1, 2]), np.array([0.5, 0.0, 0.95]), levels)
    assert table["level"].to_pylist() == ["alike", None, "the same"]
    assert nearest.counts(table, levels) == {"rows": 3, "levels": {"the same": 1, "alike": 2}}
    assert [row["test"] for row in nearest.worst(table)] == [8, 3]
    monkeypatch.setattr(nearest, "LOOKED_AT", 4)
    assert nearest.looked_at(10).tolist() == [0, 3, 6, 9]
    assert [nearest.looked_at(rows).tolist() for rows in (0, 1, 3)] == [[], [0], [0, 1, 2]]
