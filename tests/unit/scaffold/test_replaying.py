"""Batches that come one after the other, in a copy: the project stays as it is."""

import random
from pathlib import Path
from typing import Any

import pytest

from luodi.errors import MissingData
from luodi.files import folder_checksum
from luodi.scaffold import adding, replaying

NOBODY: Any = None  # runs no command: `dvc` is faked
WORDS = {"bad": ["awful", "dirty", "broken", "rude"], "good": ["lovely", "clean", "quick", "kind"]}
OTHER = {"bad": ["kaputt", "schmutzig", "lahm", "grob"], "good": ["herrlich", "sauber", "flink", "lieb"]}


def some(count: int, words: Any, seed: int) -> str:
    rng = random.Random(seed)
    lines = [
        f"{rng.choice(words[label])} {rng.randrange(10**6)} {rng.choice(words[label])},{label}"
        for label in ("bad", "good") * (count // 2)
    ]
    return "\n".join(["text,label", *lines]) + "\n"


@pytest.mark.slow
def test_a_batch_is_judged_before_and_after_the_model_saw_its_like(root: Path, write: Any) -> None:
    adding.add_texts(root, "shop", write("shop.csv", some(600, WORDS, 1)), NOBODY)
    write("batches/1-alike.csv", some(300, WORDS, 2))
    write("batches/2-other.csv", some(300, OTHER, 3))
    write("batches/3-again.csv", some(300, WORDS, 2))
    write("batches/4-broken.csv", "a,b,c\n1,2,3\n")
    before, copied = folder_checksum(root), root.parent / "copy"
    replaying.copy(root, "shop", copied)
    steps = list(replaying.replay(copied, "shop", replaying.batches(root.parent / "batches"), NOBODY))
    assert folder_checksum(root) == before
    alike, other, again, broken = steps
    assert (alike.new, alike.drift, other.new, other.drift) == (300, "none", 300, "drift")
    assert alike.before == alike.after == 1
    assert other.test > 10
    assert other.before is not None and other.before < 0.8
    assert other.after == 1
    assert again.refused == "nothing new"
    assert "cannot tell the column of the texts" in broken.refused


def test_without_a_batch_nothing_is_replayed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "away"):
        with pytest.raises(MissingData, match="expected a folder of batches"):
            replaying.batches(folder)
