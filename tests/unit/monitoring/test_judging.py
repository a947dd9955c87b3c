"""What the log says of a model: drift from what it was trained on, how often it is right, rows worth a label."""

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luodi import config
from luodi.data import image, text
from luodi.data.split_rows import Rows
from luodi.monitoring import asked, judging, worth
from luodi.monitoring.truths import Truths
from luodi.serving import log
from luodi.serving.log import Answered, Part

LABELS = ("bad", "good")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def answers(
    version: str, role: str, said: list[str], *, labels: tuple[str, ...] = LABELS, sure: float = 0.9, each: int = 1
) -> Answered | list[Answered]:
    """Requests of `each` items, to which a version says these labels."""
    found = []
    for number, start in enumerate(range(0, len(said), each)):
        some = said[start : start + each]
        shares = np.full((len(some), len(labels)), (1 - sure) / (len(labels) - 1), np.float32)
        shares[np.arange(len(some)), [labels.index(one) for one in some]] = sure
        encoder = text.Encoder(labels, "char", 8, 0, (), ())
        texts = [f"text {number} {place}" for place in range(len(some))]
        found.append(Answered(f"r{number}", NOON, "m", version, role, texts, shares, 1.0, encoder))
    return found


def read(*answered: Any, truths: dict[tuple[str, int], str] | None = None) -> asked.Asked:
    flat = [one for some in answered for one in some]
    return asked.read([Part(log.as_table(flat), {one.version: one.encoder.labels for one in flat})], truths or {})


def test_accuracy_is_of_each_version_and_a_label_that_it_does_not_know_is_one_that_it_misses() -> None:
    truths = {(f"r{n}", 0): "good" for n in range(8)} | {("r8", 0): "odd", ("r9", 0): "bad"}
    found = read(
        answers("m@v1.0.0", log.PRODUCTION, ["good"] * 10),
        answers("m@v2.0.0", log.SHADOW, ["good"] * 8 + ["odd"] * 2, labels=("bad", "good", "odd")),
        truths=truths,
    )
    one, other = judging.live(found, Truths(truths), 0.95, lambda version: None)
    assert (one.version, one.role, one.rows, one.accuracy["value"]) == ("m@v1.0.0", log.PRODUCTION, 10, 0.8)
    assert (other.version, other.accuracy["value"]) == ("m@v2.0.0", 0.9)
    assert one.accuracy["low"] < 0.8 < one.accuracy["high"]
    right = judging.right(found, Truths(truths), "m@v1.0.0", 10)
    assert right is not None
    assert right.tolist() == [True] * 8 + [False] * 2
    assert judging.right(found, Truths(truths), "m@v1.0.0", 11) is None


def test_rows_that_an_answer_chose_to_be_labelled_judge_nothing() -> None:
    truths = Truths({(f"r{n}", 0): "good" if n < 5 else "bad" for n in range(10)}, {(f"r{n}", 0) for n in range(5, 10)})
    found = read(answers("m@v1.0.0", log.PRODUCTION, ["good"] * 10), truths=truths.known)
    (one,) = judging.live(found, truths, 0.95, lambda version: None)
    assert (one.rows, one.accuracy["value"]) == (5, 1.0)


def test_rows_of_a_request_are_right_or_wrong_together() -> None:
    """Ten requests of ten rows say less of a share than a hundred rows."""
    said = (["good"] * 10 + ["bad"] * 10) * 5
    widths = []
    for each in (1, 10):
        truths = {(f"r{n}", k): "good" for n in range(100 // each) for k in range(each)}
        found = read(answers("m@v1.0.0", log.PRODUCTION, said, each=each), truths=truths)
        (one,) = judging.live(found, Truths(truths), 0.95, lambda version: None)
        widths.append(one.accuracy["high"] - one.accuracy["low"])
    assert widths[1] > 2 * widths[0]


def test_agreement_is_of_what_both_answered() -> None:
    found = read(
        answers("m@v1.0.0", log.PRODUCTION, ["good"] * 20),
        answers("m@v2.0.0", log.SHADOW, ["good"] * 15 + ["bad"] * 4),
        answers("m@v3.0.0", log.CANARY, []),
    )
    pairs, agree = judging.agreement(found, "m@v1.0.0", "m@v2.0.0", 0.95)
    assert agree is not None
    assert (pairs, round(agree["value"], 4)) == (19, 0.7895)
    assert judging.agreement(found, "m@v1.0.0", "m@v3.0.0", 0.95) == (0, None)
    assert judging.others(found, "m@v1.0.0") == [("m@v2.0.0", "shadow")]
    assert len(judging.sampled(found)) == 20


@dataclass(frozen=True)
class Bright:
    """A model that says "good" of what is bright, or begins with g."""

    labels: tuple[str, ...] = LABELS
    encoder: Any = field(default=None)

    def probabilities(self, items: list[Any]) -> NDArray[np.float32]:
        good = np.array([one[0] == "g" if isinstance(one, str) else image.pixels([one]).mean() > 127 for one in items])
        return np.where(good[:, None], [[0.1, 0.9]], [[0.9, 0.1]]).astype(np.float32)


def settings(modality: str) -> Any:
    return config.MODALITIES[modality].model_validate({"modality": modality, "labels": LABELS}, strict=False)


def pictures(count: int, level: int, seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    found = rng.normal(level, 20, (count, 28, 28)).clip(0, 255).astype(np.uint8)
    return [image.png(Image.fromarray(one)) for one in found]


@pytest.mark.slow
@pytest.mark.parametrize(("level", "verdict"), [(100, "none"), (180, "drift")])
def test_pictures_of_another_light_are_told(level: int, verdict: str) -> None:
    trained = [Rows(pictures(300, 100, seed), np.zeros(300, np.int32), []) for seed in (1, 2)]
    encoder = image.Encoder(LABELS, 28, 28, 1, (0.5,), (0.5,))
    items, shares = pictures(200, level, 3), np.tile(np.array([0.5, 0.5], np.float32), (200, 1))
    rows = read([Answered("a", NOON, "m", "m@v1.0.0", log.PRODUCTION, items, shares, 1.0, encoder)])
    model: Any = Bright()
    found, strange = judging.drifted(settings("image"), model, (trained[0], trained[1]), judging.sampled(rows), None)
    assert found.verdict == verdict
    assert {one.name for one in found.statistics} == {"labels", "intensity", "contrast", "confidence"}
    assert len(strange) == 200
    if verdict == "drift":
        assert strange.min() > 5


def test_texts_that_are_least_like_those_before_are_the_strangest() -> None:
    rng = np.random.default_rng(1)
    trained = [Rows(["".join(rng.choice(list("gabcdef"), 20)) for _ in range(300)], np.zeros(300, np.int32), [])] * 2
    asked_of = ["".join(rng.choice(list("gabcdef"), 20)) for _ in range(190)] + ["".join(rng.choice(list("xyz"), 20))
                for _ in range(10)]  # fmt: skip
    shares = np.tile(np.array([0.5, 0.5], np.float32), (200, 1))
    encoder = text.Encoder(LABELS, "char", 8, 0, (), ())
    rows = judging.sampled(read([Answered("a", NOON, "m", "m@v1.0.0", log.PRODUCTION, asked_of, shares, 1.0, encoder)]))
    model: Any = Bright()
    _, strange = judging.drifted(settings("text"), model, (trained[0], trained[1]), rows, np.ones(60, bool))
    strangest = rows["text"].take(np.argsort(-strange)[:10]).to_pylist()
    assert all(set(one) <= set("xyz") for one in strangest)


# Rows worth a label


def chosen(most: int, **more: Any) -> list[worth.Worth]:
    read_rows = read(
        answers("m@v1.0.0", log.PRODUCTION, ["good"] * 30, sure=0.9),
        answers("m@v2.0.0", log.SHADOW, ["bad"] * 5 + ["good"] * 25, sure=0.8),
    )
    rows = judging.sampled(read_rows)
    strange = [float(one) for one in range(len(rows))]
    return worth.chosen(rows, "text", read_rows, strange, known=more.get("known", set()), most=most)


def test_each_reason_gives_as_many_and_what_it_lacks_goes_to_others() -> None:
    found = chosen(8)
    assert [one.why for one in found] == [why for why in worth.WHYS for _ in range(2)]
    assert {one.request for one in found if one.why == worth.DISAGREE} <= {f"r{n}" for n in range(5)}
    whole = chosen(100)
    assert len(whole) == len({one.request for one in whole}) == 30
    assert chosen(0) == []


def test_rows_that_have_their_label_are_not_asked_for_again() -> None:
    known = {(f"r{n}", 0) for n in range(28)}
    assert {one.request for one in chosen(100, known=known)} == {"r28", "r29"}


@pytest.mark.parametrize("kind", ["text", "image"])
def test_sheet_tasks_and_interface_say_the_same_rows(kind: str, tmp_path: Path) -> None:
    item = "=1+1" if kind == "text" else pictures(1, 100, 1)[0]
    found = [worth.Worth("=r", 2, item, worth.UNSURE, "m@v1.0.0", "good", 0.51)]
    worth.write(tmp_path, found, kind, ('"good" & <bad>', "bad"))
    with (tmp_path / worth.SHEET).open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {kind: "'=1+1" if kind == "text" else "images/00000.png", "label": "", "why": "least certain",
                   "answered": "good", "sure": "0.5100", "version": "m@v1.0.0", "request": "'=r",
                   "item": "2"}  # fmt: skip
    (task,) = json.loads((tmp_path / worth.TASKS).read_text())
    assert task["data"]["request"] == "=r"
    assert task["predictions"][0]["result"][0] == {
        "from_name": "label", "to_name": kind, "type": "choices", "value": {"choices": ["good"]}
    }  # fmt: skip
    tree = ElementTree.fromstring((tmp_path / worth.CONFIG).read_text())
    assert [one.attrib["value"] for one in tree.iter("Choice")] == ['"good" & <bad>', "bad"]
    assert tree[0].attrib == {"name": kind, "value": f"${kind}"}
    if kind == "image":
        assert (tmp_path / row["image"]).read_bytes() == item
        assert task["data"]["image"].startswith("data:image/png;base64,")
