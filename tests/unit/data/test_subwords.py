"""Texts become the same ids wherever that happens, and nothing that a text holds is more than text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoder
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import encoders, subwords, text, vocabularies
from luodi.files import write_json, write_text
from luodi.local import example

ODD = [
    "质量很好,下次还会再来", "<p>Tom &amp; Jerry</p><!-- x -->", "call 13812345678, mail a.b@c.de!", "ＡＢＣ①ﬁ",
    "İstanbul ẞ ǅ", "a\u200bb\u00adc", "ab\x00\ufffdc", "ไทย 한국어 тест", "مرحبا بالعالم", "नमस्ते दुनिया", "שלום עולם",
    "Γειά σου", "x" * 5000, "[CLS] [SEP] [PAD] [MASK] [UNK]", "😀 👍🏽 flags 🇨🇳", "e\u0301 é", "one", "a b c " * 99,
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> subwords.Encoder:
    folder = tiny_encoder.write(tmp_path_factory.mktemp("tiny"))
    return subwords.Encoder(("a", "b"), 40, 0, (folder / "tokenizer.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(made: subwords.Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is exported, with the example that lies beside it."""
    write_json(tmp_path / "encoder.json", made.as_json())
    write_text(tmp_path / subwords.TOKENIZER, made.tokenizer)
    monkeypatch.setattr(example, "__file__", str(tmp_path / "example.py"))
    return tmp_path


def test_odd_texts_have_the_ids_that_training_gave_them(made: subwords.Encoder, folder: Path) -> None:
    served = encoders.load(folder / "encoder.json")
    assert served == made
    cleaned = text.clean_list(ODD)
    trained = subwords.padded(made.ids(cleaned), made.pad)
    assert np.array_equal(made.encode_clean(text.column(cleaned)), trained)
    assert np.array_equal(served.encode(ODD), trained)
    assert np.array_equal(example.encode(json.loads((folder / "encoder.json").read_text()), ODD), trained)
    for place, one in enumerate(ODD):  # alone as among others
        row = served.encode([one])[0]
        assert np.array_equal(trained[place, : len(row)], row)
        assert (trained[place, len(row) :] == made.pad).all()


@pytest.mark.slow
def test_ten_thousand_texts_in_a_dozen_scripts_have_one_answer(made: subwords.Encoder, folder: Path) -> None:
    texts, served = tiny_encoder.odd(10_000), encoders.load(folder / "encoder.json")
    trained = made.ids(text.clean_list(texts))
    for start in range(0, len(texts), 32):
        expected = subwords.padded(trained[start : start + 32], made.pad)
        assert np.array_equal(served.encode(texts[start : start + 32]), expected)
    raw = json.loads((folder / "encoder.json").read_text())
    assert np.array_equal(example.encode(raw, texts[::50]), subwords.padded(trained[::50], made.pad))


letters = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cn", "Cs", "Co"])  # to every library's Unicode


@given(st.text(letters | st.sampled_from("<>&;[]#@-0123456789abc 好\n"), min_size=1))
def test_any_text_is_encoded_alike(made: subwords.Encoder, one: str) -> None:
    if (cleaned := text.clean_list([one])) != [""]:
        assert made.encode([one])[0].tolist() == made.ids(cleaned)[0]


def test_what_a_text_says_is_text(made: subwords.Encoder) -> None:
    """A text that holds the name of a special token has no such token: it would not be seen, or end the text."""
    special = {made.pad, *(tiny_encoder.VOCABULARY.index(one) for one in tiny_encoder.SPECIAL if one != "[UNK]")}
    (row,) = made.ids(["[PAD] [SEP] [CLS] [MASK]"])
    assert not special & set(row[1:-1])


def test_nothing_to_read_is_refused(made: subwords.Encoder) -> None:
    with pytest.raises(text.Nothing):
        made.encode(["good", " <br> "])


def test_no_row_is_longer_than_the_encoder_reads(made: subwords.Encoder) -> None:
    assert made.encode(["a " * 1000, "a"]).shape == (2, 40) == (2, *made.shape)
    assert made.encode(["a"]).shape == (1, 3)
    assert subwords.padded([[1, 2, 3]], 9, step=8).tolist() == [[1, 2, 3, 9, 9, 9, 9, 9]]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": {}}'])
def test_what_is_no_tokenizer_is_told(content: str, folder: Path) -> None:
    (folder / subwords.TOKENIZER).write_text(content)
    with pytest.raises(Exception, match=r"is not an encoder .*: run `dvc repro` again"):
        encoders.load(folder / "encoder.json")


def test_a_vocabulary_alone_makes_the_tokenizer_of_a_bert(made: subwords.Encoder) -> None:
    found: Any = vocabularies.of_vocabulary(tiny_encoder.VOCABULARY, lowercase=True)
    known = subwords.opened(made.tokenizer)
    assert [one.ids for one in subwords.opened(found).encode_batch(ODD)] == [one.ids for one in known.encode_batch(ODD)]
    with pytest.raises(ValueError, match=r"no \[CLS\]"):
        vocabularies.of_vocabulary(["[UNK]", "a"], lowercase=True)
