"""What validation tells of the last batch, of texts in another script, and of what preprocessing masks."""

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from luodi import config
from luodi.checks import held_back, last_batch, reasons
from luodi.checks.text import measures
from luodi.data.arrivals import Arrival

MODEL: Any = config.settings_of(config.load(Path(__file__).parents[3] / "params.yaml"), "reviews")
OLD = [("房间很好一", "positive"), ("房间很好一", "positive"), ("房间很差二", "negative"), ("房间很差三", "bad")]
NEW = [("房间很好一", "negative"), ("房间很差四", "Negative"), ("早饭不错啊", "positive"), ("", "negative")]


def checked(old: list[tuple[str, str]], new: list[tuple[str, str]]) -> Any:
    rows = [
        {"text": text, "label": label, "source": "s", "shard": shard, "row": place}
        for shard, pairs in (("a.parquet", old), ("b.parquet", new))
        for place, (text, label) in enumerate(pairs)
    ]
    return measures.measure([pa.Table.from_pylist(rows)], MODEL)


def came(*shards: str) -> Arrival:
    return Arrival("b" * 12, ["week.csv"], 4, 4, 0, {}, {}, shards)


def told(*batches: Arrival) -> last_batch.Lately | None:
    return last_batch.of(checked(OLD, NEW), batches, MODEL.labels, "text", "text")


def test_the_last_batch_is_told_beside_the_rows_before_it() -> None:
    found = told(came("a.parquet"), came("b.parquet"))
    assert found and found.files == ("week.csv",)
    lines = {name: (before, now) for name, before, now in found.lines}
    assert lines["Rows"] == (4, 8)
    assert lines["Of use, each once"] == (2, 2)  # 很好一 is lost, 早饭 is won
    assert lines["Held back"] == (1, 6)
    assert lines["text carries several labels"] == (0, 3) and lines["label is unknown"] == (1, 2)
    assert "label is missing" not in lines, "what did not change is not told"
    assert found.newly == 2
    assert [(one.row, one.beside and one.beside.shard) for one in found.examples] == [
        (0, "b.parquet"),
        (1, "b.parquet"),
    ]
    assert [(one.label, one.rows, one.near) for one in found.spellings] == [("Negative", 1, "negative")]


@pytest.mark.parametrize("batches", [(), (came(),), (came("gone.parquet"),), (came("a.parquet", "b.parquet"),)])
def test_without_rows_on_both_sides_there_is_nothing_to_tell(batches: tuple[Arrival, ...]) -> None:
    assert told(*batches) is None


def test_rows_in_another_script_are_told_with_their_files_and_labels() -> None:
    foreign = [("The room was fine.", "positive"), ("номер хороший", "negative"), ("iPhone 很好用", "positive")]
    facts = measures.facts(checked([(f"房间很好{row}啊", "positive") for row in range(9)], foreign))
    assert facts["scripts"] == [("Chinese", 10), ("Latin", 1), ("Cyrillic", 1)]
    other = facts["other"]
    assert (other["main"], other["rows"], other["files"]) == ("Chinese", 2, [("b.parquet", 2)])
    assert [one.text for one in other["examples"]] == [text for text, _ in foreign[:2]]
    sheet, rows = held_back.csv(other["table"], 10_000)
    assert rows == 2 and b"in another script: Cyrillic" in sheet and b"b.parquet:1" in sheet


def test_each_text_is_of_the_script_and_oddity_that_expressions_find_in_it() -> None:
    signs = ["", "中", "か", "한", "а", "a", "ﬁ", "𠀀", "𝒜", "々", "٣", "1", "\ufffd", "\x85", "\x00", "\t", "\u200b"]
    texts = [None, *("".join(some) for count in range(4) for some in itertools.combinations(signs, count))]
    column = pa.array(texts, pa.string())
    made = measures.measure([pa.table(dict.fromkeys(("text", "label", "source", "shard"), column))], MODEL)
    assert made.scripts is not None and made.scripts.tolist() == measures.scripts(column.fill_null("")).tolist()
    for reason, pattern in (("U+FFFD", "\ufffd"), ("control characters", measures.CONTROL)):
        found = pc.match_substring_regex(column, pattern).fill_null(False)
        assert made.table[f"text holds {reason}"].to_pylist() == found.to_pylist()


@pytest.mark.slow
def test_every_code_point_is_of_the_script_that_expressions_say() -> None:
    points = [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)]
    texts = pa.chunked_array([pa.array(map(chr, points), pa.string())])
    found, counts = measures._characters(texts)
    assert found.tolist() == measures.scripts(texts).tolist()
    assert [place for place, count in enumerate(counts.tolist()) if count] == points


def test_a_clean_row_is_of_use_though_one_that_is_held_back_holds_the_same() -> None:
    made = checked([("房间很好一", "bad"), ("房间很好二", "positive"), ("房间很好一", "positive")], [])
    assert made.table["row is held back"].to_pylist() == [True, False, False]
    assert reasons.usable(made) == 2


def test_where_no_script_is_that_of_most_none_is_another() -> None:
    both = [("房间很好一啊", "positive"), ("The room was fine.", "negative")]
    assert measures.facts(checked(both, []))["other"] is None
    assert measures.facts(checked([("12345", "positive")], []))["scripts"] == [("no letters", 1)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("请打 13912345678 找我", ["[PHONE]"]),
        ("请打１３９１２３４５６７８找我", ["[PHONE]"]),  # full width
        ("写信到 a.b&#64;example.com 或 139-1234-5678", ["[EMAIL]", "[PHONE]"]),
        ("号码是[PHONE]，价格一千", []),  # masked before it came
        ("订单 1234567 已发货", []),
    ],
)
def test_what_preprocessing_masks_is_counted(text: str, tokens: list[str]) -> None:
    facts = measures.facts(checked([(text, "positive")], []))
    assert facts["masked"] == [(token, 1) for token in tokens]


@pytest.mark.slow
def test_a_limit_that_no_row_can_break_is_told_from_one_that_is_kept() -> None:
    from luodi.checks.text import expectations

    def idle(**limits: Any) -> set[str]:
        settings = MODEL.model_copy(update={"validate_": config.TextValidate(**limits)})
        return {one.meta["title"] for one in expectations.build(settings) if one.meta.get("idle")}

    assert idle(min_chinese_share=0.5) == set()
    free = {"min_chinese_share": 0.0, "max_duplicate_share": 1.0, "min_class_share": 0.0}
    assert idle(**free) == {"Texts are Chinese", "Few duplicates", "Classes are balanced"}
