"""An encoder that is pretrained on texts without labels: what it writes, and that what ended it changes nothing."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from luodi.data import subwords, unlabelled
from luodi.errors import BrokenData, MissingData, WrongValue
from luodi.files import folder_checksum
from luodi.pretrained import checkpoint, graph

PLAN: dict[str, Any] = {"layers": 1, "width": 32, "length": 12, "vocabulary": 120, "epochs": 3, "rate": 0.01}


def texts(count: int = 640) -> list[str]:
    """Words that follow each other in a ring: what stands between two tells what they are around."""
    draw = random.Random(3)
    words = ["".join(draw.choices("abcdefghij", k=5)) for _ in range(12)]
    found = []
    for _ in range(count):
        start = draw.randrange(12)
        line = [words[(start + place) % 12] for place in range(6)]
        found.append(" ".join(line) + " " + draw.choice("klmnopqrst"))
    return found


@pytest.mark.slow
def test_it_learns_and_goes_on_from_whatever_ended_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luodi.pretrained import pretraining
    from luodi.pretrained.pretraining import Plan

    plan, ended = Plan(**PLAN), False
    pretraining.run(tmp_path / "whole", texts(), plan, "CC0-1.0")
    found = checkpoint.read(tmp_path / "whole")
    assert (found.family, found.layers, found.width, found.length, found.licence) == ("bert", 1, 32, 12, "CC0-1.0")
    first = pretraining._first(plan, found.shapes["embeddings.word_embeddings.weight"][0])
    assert np.abs(graph.weights(found, found.tensors())["words"] - first["words"]).max() > 0.01
    told = pretraining._tell

    def tell(rounds: int) -> Any:
        def end(at: int, logs: Any) -> None:
            nonlocal ended
            if at == 1 and not ended:
                ended = True
                raise KeyboardInterrupt
            told(rounds)(at, logs)

        return end

    monkeypatch.setattr(pretraining, "_tell", tell)
    with pytest.raises(KeyboardInterrupt):
        pretraining.run(tmp_path / "ended", texts(), plan, "CC0-1.0")
    assert not (tmp_path / "ended").exists()
    with pytest.raises(WrongValue, match="is of a pretraining that was ended, of other texts or settings"):
        pretraining.run(tmp_path / "ended", texts()[1:], plan)
    pretraining.run(tmp_path / "ended", texts(), plan, "CC0-1.0")
    assert folder_checksum(tmp_path / "ended") == folder_checksum(tmp_path / "whole")
    assert not list(tmp_path.glob(".*pretraining"))
    with pytest.raises(WrongValue, match="exists: move it away"):
        pretraining.run(tmp_path / "ended", texts(), plan)


def test_tokens_are_asked_for_that_were_there() -> None:
    from luodi.pretrained.pretraining import Masked, Plan

    plan = Plan(**PLAN | {"length": 40})
    rows = [[2, *range(5, 5 + length), 3] for length in range(1, 38)]
    data = Masked(rows, plan, 60, 4)
    data.begin(0)
    (ids, places), answers, weight = data[0]
    whole = np.stack([np.pad(rows[place], (0, 40 - len(rows[place]))) for place in data.order[:37]])
    assert np.array_equal(np.take_along_axis(whole, places, 1)[weight > 0], answers[weight > 0])
    counts = weight.sum(1)
    assert counts.tolist() == [max(1, round(0.15 * (len(rows[place]) - 2))) for place in data.order[:37]]
    changed = ids != whole
    assert (changed.sum(1) <= counts).all()
    assert 0.6 < (ids[changed] == 4).sum() / counts.sum() < 0.95
    assert not changed[:, 0].any()
    (again, _), _, _ = data[0]
    assert np.array_equal(again, ids)


def test_a_tokenizer_is_learned_from_texts() -> None:
    found = subwords.opened(unlabelled.tokenizer(["好书 good book"] * 3 + ["好文 Good books"] * 3, 60))
    assert found.encode("好书 GOOD").tokens == ["[CLS]", "好", "书", "good", "[SEP]"]
    assert [found.token_to_id(token) for token in unlabelled.SPECIAL] == [0, 1, 2, 3, 4]


def test_texts_without_labels_are_read_a_line_each(tmp_path: Path) -> None:
    lines = [f"line {number} 好" for number in range(150)]
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.txt").write_text("\r\n".join([*lines, "", lines[0]]), encoding="gb18030")
    (tmp_path / "c.txt").write_text("one more\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not this one")
    assert unlabelled.read([tmp_path]) == [*lines, "one more"]
    with pytest.raises(BrokenData, match="1 texts, a line each, expected at least 100: bring more"):
        unlabelled.read([tmp_path / "c.txt"])
    with pytest.raises(MissingData, match=r"is no file, nor a folder of files \.txt"):
        unlabelled.read([tmp_path / "nowhere"])


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    from luodi.pretrained import pretraining
    from luodi.pretrained.pretraining import Plan

    plan = Plan(**PLAN)
    tokenizer = unlabelled.tokenizer(texts(), 120)
    known = subwords.opened(tokenizer).get_vocab_size()
    weights = pretraining._first(plan, known)
    pretraining._write(tmp_path / "made", plan, weights, tokenizer, None)
    found = checkpoint.read(tmp_path / "made")
    again = graph.weights(found, found.tensors())
    assert all(np.array_equal(again[name], weights[name]) for name in weights)
    assert load_file(tmp_path / "made" / "model.safetensors").keys() == found.shapes.keys()
    assert graph.form(found) == plan.form
