"""What is no checkpoint of a kind that luodi opens is one clear error, before anything of it is used."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoder
from safetensors.numpy import load_file, save_file

from luodi.data import subwords
from luodi.errors import BrokenData, DataError, MissingData
from luodi.pretrained import checkpoint

MODULES = "modules.json"
WEIGHTS, INDEX, PART = "model.safetensors", "model.safetensors.index.json", "part-1.safetensors"
Change = Callable[[Path], object]


def config(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def tensors(**changes: Any) -> Change:
    """Write the weights with other ones; None leaves one out."""

    def change(folder: Path) -> None:
        found = load_file(folder / WEIGHTS) | {name.replace("__", "."): value for name, value in changes.items()}
        save_file({name: value for name, value in found.items() if value is not None}, folder / WEIGHTS)

    return change


def truncate(folder: Path) -> None:
    path = folder / (WEIGHTS if (folder / WEIGHTS).exists() else PART)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def parts(change: Change) -> Change:
    """Share the weights out among two files, as those of large checkpoints are; then change something."""

    def share_out(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        where = {name: f"part-{place % 2}.safetensors" for place, name in enumerate(sorted(found))}
        for part in set(where.values()):
            save_file({name: value for name, value in found.items() if where[name] == part}, folder / part)
        (folder / WEIGHTS).unlink()
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
        change(folder)

    return share_out


def index(tensor: str, part: str) -> Change:
    def change(folder: Path) -> None:
        found = json.loads((folder / INDEX).read_text())
        (folder / INDEX).write_text(json.dumps({"weight_map": found["weight_map"] | {tensor: part}}))

    return change


def lie(folder: Path) -> None:
    """A header that asks for more than there is: were it believed, memory would be taken for it."""
    name = "embeddings.word_embeddings.weight"
    header = json.dumps({name: {"dtype": "F32", "shape": [2**40, 16], "data_offsets": [0, 2**46]}}).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header)


def pickle(name: str) -> Change:
    return lambda folder: (folder / WEIGHTS).rename(folder / name)


def smaller(folder: Path) -> None:
    """The tokenizer of another checkpoint, which knows a word more."""
    path = folder / "tokenizer.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    known["model"]["vocab"]["one-more"] = len(tiny_encoder.VOCABULARY)
    path.write_text(json.dumps(known), encoding="utf-8")


def fewer(folder: Path) -> None:
    """The tokenizer of a checkpoint that knows few words: none of its ids is beyond the weights."""
    path = folder / "tokenizer.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = known["model"]["vocab"]
    known["model"]["vocab"] = {token: place for token, place in vocabulary.items() if place < 30}
    path.write_text(json.dumps(known), encoding="utf-8")


def of_images(folder: Path) -> None:
    """It has no tokenizer, and its weights would have to be converted: neither is asked for in vain."""
    config(model_type="vit")(folder)
    (folder / "tokenizer.json").unlink()
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def pooled(content: str) -> Change:
    def change(folder: Path) -> None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(content)

    return change


def vocabulary(**settings: Any) -> Change:
    """Leave the vocabulary alone, with what is said of its tokenizer."""

    def change(folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(tiny_encoder.VOCABULARY), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))

    return change


def modules(*known: tuple[str, str]) -> Change:
    told = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in known]
    return lambda folder: (folder / MODULES).write_text(json.dumps(told))


CASES: dict[str, tuple[type[DataError], str, Change]] = {
    "no config": (MissingData, "holds no config.json", lambda folder: (folder / "config.json").unlink()),
    "no weights": (MissingData, "holds no model.safetensors", lambda folder: (folder / WEIGHTS).unlink()),
    "no tokens": (
        MissingData, r"holds no tokenizer.json \(or vocab.txt, or vocab.json and merges.txt\)",
        lambda folder: (folder / "tokenizer.json").unlink(),
    ),
    "sentencepiece": (
        BrokenData, "has its tokens in spiece.model .sentencepiece., and luodi reads tokenizer.json: in an env",
        lambda folder: (folder / "tokenizer.json").rename(folder / "spiece.model"),
    ),
    "words of Japan": (
        BrokenData, "it is of a BertJapaneseTokenizer, whose words vocab.txt alone does not tell",
        vocabulary(tokenizer_class="BertJapaneseTokenizer"),
    ),
    "half of pairs": (
        MissingData, "holds no tokenizer.json", lambda folder: (folder / "tokenizer.json").rename(folder / "vocab.json")
    ),
    "modules of another": (
        BrokenData, "has a module StaticEmbedding, and luodi reads a Transformer, followed by Pooling, Normalize",
        modules(("StaticEmbedding", "")),
    ),
    "a module behind": (BrokenData, "has a module LSTM", modules(("Transformer", ""), ("LSTM", "1_LSTM"))),
    "modules elsewhere": (
        BrokenData, r"expected a list of modules, .*'path': '\.\./x'", modules(("Transformer", "../x"))
    ),
    "modules above": (BrokenData, r"expected a list of modules, .*'path': '\.\.'", modules(("Transformer", ".."))),
    "no modules": (BrokenData, "expected a list of modules", modules()),
    "no list": (BrokenData, "a list of modules, .*found None", lambda folder: (folder / MODULES).write_text("{}")),
    "in decoding": (BrokenData, "`is_decoder` is True, and luodi reads False", config(is_decoder=True)),
    "projected": (BrokenData, "`embedding_size` is 8, and luodi reads 16", config(embedding_size=8)),
    "bin": (BrokenData, "pytorch_model.bin, a file that can run code .*save_pretrained", pickle("pytorch_model.bin")),
    "pt": (BrokenData, "encoder.pt, a file that can run code .*save_pretrained", pickle("encoder.pt")),
    "ckpt": (BrokenData, "last.ckpt, a file that can run code .*save_pretrained", pickle("last.ckpt")),
    "part away": (MissingData, "holds no part-1.safetensors, which", parts(lambda folder: (folder / PART).unlink())),
    "part cut": (BrokenData, "part-1.safetensors cannot be read .*: it did not come whole", parts(truncate)),
    "index lies": (BrokenData, "LayerNorm.bias is not in part-1", parts(index("embeddings.LayerNorm.bias", PART))),
    "index leaves": (BrokenData, "'../x.safetensors' is no file of weights", parts(index("a", "../x.safetensors"))),
    "index of code": (BrokenData, "'x.bin' is no file of weights", parts(index("a", "x.bin"))),
    "empty index": (BrokenData, "it has no weight_map", parts(lambda folder: (folder / INDEX).write_text("{}"))),
    "own code": (BrokenData, "code of the checkpoint's own", config(auto_map={"AutoModel": "modeling.Mine"})),
    "another family": (BrokenData, "`model_type` is 'llama', and luodi reads bert, rob", config(model_type="llama")),
    "no family": (BrokenData, "`model_type` is None", config(model_type=None)),
    "not JSON": (BrokenData, "is not JSON", lambda folder: (folder / "config.json").write_text("{")),
    "no object": (BrokenData, "expected a JSON object", lambda folder: (folder / "config.json").write_text("[]")),
    "activation": (BrokenData, "`hidden_act` is 'silu'", config(hidden_act="silu")),
    "positions": (BrokenData, "`position_embedding_type` is", config(position_embedding_type="relative_key")),
    "no number": (BrokenData, "`hidden_size` is '16', expected a number", config(hidden_size="16")),
    "no epsilon": (BrokenData, "`layer_norm_eps` is 'small', expected a number", config(layer_norm_eps="small")),
    "deeper": (BrokenData, "an encoder has no 1,000,000,000 layers", config(num_hidden_layers=10**9)),
    "heads": (BrokenData, "3 heads cannot share a width of 16", config(num_attention_heads=3)),
    "no id": (BrokenData, "cannot be right: `pad_token_id` is True", config(pad_token_id=True)),
    "pad": (BrokenData, "`pad_token_id` is 5000", config(pad_token_id=5000)),
    "more words": (BrokenData, "is of shape .*, expected .30522, 16", config(vocab_size=30522)),
    "endless": (BrokenData, "is of shape", config(vocab_size=10**15)),
    "more layers": (BrokenData, "it holds no encoder.layer.2.", config(num_hidden_layers=3)),
    "fewer layers": (BrokenData, "it holds encoder.layer.1.* too", config(num_hidden_layers=1)),
    "wider": (BrokenData, "is of shape", config(intermediate_size=32)),
    "lacking": (BrokenData, "it holds no embeddings.LayerNorm.bias", tensors(embeddings__LayerNorm__bias=None)),
    "dtype": (
        BrokenData, "holds I8, and luodi reads F32", tensors(embeddings__LayerNorm__bias=np.zeros(16, np.int8))
    ),
    "truncated": (BrokenData, "cannot be read .*: it did not come whole", truncate),
    "lying": (BrokenData, "cannot be read", lie),
    "no safetensors": (BrokenData, "cannot be read", lambda folder: (folder / WEIGHTS).write_bytes(b"PK\3\4" * 99)),
    "empty": (BrokenData, "cannot be read", lambda folder: (folder / WEIGHTS).write_bytes(b"")),
    "no tokenizer": (BrokenData, "is no tokenizer", lambda folder: (folder / "tokenizer.json").write_text("{}")),
    "another tokenizer": (BrokenData, "does not fit the weights: it knows .* its largest id is", smaller),
    "no pad": (BrokenData, "`pad_token_id` is 9, and that is '[a-z]{6}'; get both", config(pad_token_id=9)),
    "few tokens": (BrokenData, "it knows 30 tokens, its largest id is 29, and there are 441", fewer),
    "of images": (BrokenData, "`model_type` is 'vit', and luodi reads bert", of_images),
    "pooling": (BrokenData, "pools by pooling_mode_max_tokens", pooled('{"pooling_mode_max_tokens": true}')),
    "short": (BrokenData, "leaves 3 positions", config(max_position_embeddings=3)),
}  # fmt: skip


DECODER: dict[str, tuple[type[DataError], str, Change]] = {
    "scaled": (BrokenData, "`scale_attn_by_inverse_layer_idx` is True", config(scale_attn_by_inverse_layer_idx=True)),
    "endless": (BrokenData, "`eos_token_id` is None, and there are", config(eos_token_id=None)),
    "a word ends": (
        BrokenData,
        r"`eos_token_id` is 300, and that is '.+'; get both of the same",
        config(eos_token_id=300),
    ),
    "width": (BrokenData, "`n_embd` is None, expected a number", config(n_embd=None)),
    "wider": (BrokenData, "h.0.mlp.c_fc.weight is of shape .16, 64., expected .16, 32.", config(n_inner=32)),
    "fewer layers": (BrokenData, "it holds h.1.* too", config(n_layer=1)),
    "lacking": (BrokenData, "it holds no ln_f.bias", tensors(ln_f__bias=None)),
    "truncated": (BrokenData, "cannot be read .*: it did not come whole", truncate),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", DECODER)
def test_what_is_no_decoder_is_refused(case: str, tmp_path: Path) -> None:
    kind, says, change = DECODER[case]
    folder = tiny_encoder.write(tmp_path / "tiny", "gpt2")
    change(folder)
    with pytest.raises(kind, match=says):
        checkpoint.read(folder)


def test_masks_that_older_decoders_keep_are_no_weights(tmp_path: Path) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny", "gpt2")
    known = checkpoint.read(folder).weights
    masks = {f"h.0.attn.{name}": np.tril(np.ones((4, 4), np.float32)) for name in ("bias", "masked_bias")}
    save_file(load_file(folder / WEIGHTS) | masks, folder / WEIGHTS)
    found = checkpoint.read(folder)
    assert (found.weights, found.pooling, found.pad) == (known, "last", 0)


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_checkpoint_is_refused(case: str, tmp_path: Path) -> None:
    kind, says, change = CASES[case]
    folder = tiny_encoder.write(tmp_path / "tiny")
    if case == "short":
        tensors(embeddings__position_embeddings__weight=np.zeros((3, 16), np.float32))(folder)
    change(folder)
    with pytest.raises(kind, match=says) as error:
        checkpoint.read(folder)
    assert type(error.value) is kind
    assert "\n" not in str(error.value)


def test_a_tensor_that_no_onnx_file_holds_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny")
    size = 4 * len(tiny_encoder.VOCABULARY) * tiny_encoder.WIDTH
    monkeypatch.setattr(checkpoint, "_float32", lambda file, name: pytest.fail("it was read"))
    monkeypatch.setattr(checkpoint, "LARGEST", size)
    checkpoint.read(folder)
    monkeypatch.setattr(checkpoint, "LARGEST", size - 1)
    with pytest.raises(
        BrokenData, match=r"word_embeddings.weight alone holds 0\.0 GB as float32, expected at most 0\.0"
    ):
        checkpoint.read(folder)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="luodi downloads none"):
        checkpoint.read(tmp_path / "bert-base-uncased")


def test_weights_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny")
    tensors(embeddings__LayerNorm__bias=np.full(16, np.nan, np.float32))(folder)
    with pytest.raises(BrokenData, match=r"embeddings\.LayerNorm\.bias holds values that are no numbers"):
        checkpoint.read(folder).tensors()


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("README.md", "---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0"),
        ("README.md", "---\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ("README.md", "# A model\nlicense: not here\n", checkpoint.UNSTATED),
        ("LICENSE", "\n  Apache License 2.0\nand more\n", "Apache License 2.0"),
        ("LICENSE", "", checkpoint.UNSTATED),
        ("README.md", "---\nlicense: mit\u2028x\n---\n", "mit\\u2028x"),
        ("README.md", "---\n" + "license:\n" * 9999, checkpoint.UNSTATED),
        ("notes.txt", "license: mit", checkpoint.UNSTATED),
        ("LICENCE.txt", "\x1b[31mred\nmore", "\\x1b[31mred"),
    ],
)
def test_the_licence_is_what_the_files_say(name: str, content: str, found: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert checkpoint.licence(tmp_path) == found


@pytest.mark.parametrize(
    ("files", "length"),
    [
        ({}, 40),
        ({"sentence_bert_config.json": {"max_seq_length": 20}, "tokenizer_config.json": {"model_max_length": 30}}, 20),
        ({"tokenizer_config.json": {"model_max_length": 30}}, 30),
        ({"tokenizer_config.json": {"model_max_length": 10**30}}, 40),
        ({"sentence_bert_config.json": {"max_seq_length": None}}, 40),
    ],
)
def test_a_text_is_as_long_as_the_checkpoint_says(files: dict[str, Any], length: int, tmp_path: Path) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny")
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    assert checkpoint.read(folder).length == length


def test_a_folder_of_licences_is_none(tmp_path: Path) -> None:
    (tmp_path / "LICENSES").mkdir()
    assert checkpoint.licence(tmp_path) == checkpoint.UNSTATED


def test_a_vocabulary_is_enough(tmp_path: Path) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny")
    vocabulary()(folder)
    assert checkpoint.read(folder).length == 40
    for settings, joined in (({}, False), ({"tokenize_chinese_chars": False}, True)):
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        ids = subwords.opened(checkpoint.read(folder).tokenizer).encode("好书").ids
        assert (len(ids) == 3) == joined  # it knows 好 and 书, and no word of both
    (folder / "vocab.txt").write_text("a\nb", encoding="utf-8")
    with pytest.raises(BrokenData, match=r"vocab.txt is no tokenizer \(it has no \[UNK\]\)"):
        checkpoint.read(folder)


@pytest.mark.parametrize("spaced", [True, False])
def test_a_vocabulary_and_its_merges_are_enough(spaced: bool, tmp_path: Path) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny", "gpt2")
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    known = subwords.opened(checkpoint.read(folder).tokenizer)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": spaced}))
    found = subwords.opened(checkpoint.read(folder).tokenizer)
    text = f"{'' if spaced else ' '}{tiny_encoder.words(0)[0]} 好 é"
    assert found.encode(text).ids == known.encode(text.strip()).ids
    assert (found.encode("a").ids == known.encode("a").ids) == spaced


def test_what_pads_is_what_the_tokenizer_says_where_config_has_a_word(tmp_path: Path) -> None:
    """As of multilingual MiniLM and E5, which have the numbers of BERT's tokenizer in config.json."""
    folder = tiny_encoder.write(tmp_path / "tiny", pad_token_id=9)
    for name, token in (("tokenizer_config.json", "[PAD]"), ("special_tokens_map.json", {"content": "[PAD]"})):
        (folder / name).write_text(json.dumps({"pad_token": token}))
        assert checkpoint.read(folder).pad == 0
        (folder / name).unlink()
    roberta = tiny_encoder.write(tmp_path / "roberta", "roberta", pad_token_id=9)
    (roberta / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    with pytest.raises(BrokenData, match="does not fit the tokenizer"):
        checkpoint.read(roberta)  # its positions begin behind that id


def test_what_sentence_transformers_wrote_is_read_as_it_says(tmp_path: Path) -> None:
    """The network in a folder of its own, texts in small letters, and a layer behind that the classifier replaces."""
    whole = tmp_path / "whole"
    folder = tiny_encoder.write(whole / "0_Transformer")
    modules(("Transformer", folder.name), ("Pooling", "2_Pooling"), ("Dense", "3"), ("Normalize", "4"))(whole)
    (whole / "2_Pooling").mkdir()
    (whole / "2_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (whole / "LICENSE").write_text("MIT")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": true}')
    known = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    known["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(known), encoding="utf-8")
    found = checkpoint.read(whole)
    assert (found.pooling, found.length, found.licence, found.left_out) == ("cls", 12, "MIT", ("Dense",))
    word, tokenizer = tiny_encoder.words(0)[0], subwords.opened(found.tokenizer)
    assert tokenizer.encode(word.upper()).ids == tokenizer.encode(word).ids


def test_weights_may_be_in_several_files(tmp_path: Path) -> None:
    whole, several = (tiny_encoder.write(tmp_path / name) for name in ("whole", "several"))
    parts(lambda folder: None)(several)
    expected, found = (checkpoint.read(folder).tensors() for folder in (whole, several))
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
