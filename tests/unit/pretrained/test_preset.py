"""A preset of KerasHub is read without it, to the weights and ids that it has; what is none is one clear error."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_encoder
import tiny_preset
from tiny_preset import Change, in_weights

from luodi.data import subwords
from luodi.errors import BrokenData, DataError, MissingData
from luodi.pretrained import checkpoint, hdf5, preset, untrusted

TEXTS = ["abc def 好书", " ".join(tiny_encoder.words(0)[:3]), "Ünïcode, and  more!", "[PAD] <pad> x"]


@pytest.mark.parametrize("family", tiny_preset.BACKBONES)
def test_the_weights_are_those_that_hugging_face_would_have(family: str, tmp_path: Path) -> None:
    folder = tiny_preset.write(tmp_path / "tiny", family)
    found = checkpoint.read(folder)
    tokens = found.shapes[f"{found.kind.embeddings[0]}.weight"][0]
    expected, read = tiny_preset.tensors(family, tokens), found.tensors()
    if family == "roberta":
        expected["embeddings.token_type_embeddings.weight"] = np.zeros((1, tiny_encoder.WIDTH), np.float32)
        places = read["embeddings.position_embeddings.weight"]
        assert not places[:2].any()
        read["embeddings.position_embeddings.weight"] = places[2:]
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[name], expected[name]) for name in expected)
    assert (found.family, found.length, found.pad) == (family, tiny_encoder.POSITIONS, int(family == "roberta"))


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2"])
def test_its_tokens_are_those_of_the_folder_of_hugging_face(family: str, tmp_path: Path) -> None:
    ours = checkpoint.read(tiny_preset.write(tmp_path / "preset", family)).tokenizer
    theirs = (tiny_encoder.write(tmp_path / "folder", family) / "tokenizer.json").read_text(encoding="utf-8")
    if family == "gpt2":  # the folder's has a space before the first word
        theirs = theirs.replace('"add_prefix_space":true', '"add_prefix_space":false')
    encoded = [[one.tokens for one in subwords.opened(text).encode_batch(TEXTS)] for text in (ours, theirs)]
    assert encoded[0] == encoded[1]


def test_what_its_files_say_of_length_and_pooling_holds(tmp_path: Path) -> None:
    folder = tiny_preset.write(tmp_path / "tiny")
    tiny_preset.written(folder / preset.PREPROCESSOR, "BertTextEmbedderPreprocessor", {"sequence_length": 20})
    tiny_preset.written(folder / preset.TASK, "BertTextEmbedder", {"pooling_mode": "cls"})
    found = checkpoint.read(folder)
    assert (found.length, found.pooling) == (20, "cls")


def config(name: str = "config.json", **changes: Any) -> Change:
    def change(folder: Path) -> None:
        known = json.loads((folder / name).read_text(encoding="utf-8"))
        kind = changes.get("kind", known["registered_name"].removeprefix("keras_hub>"))
        tiny_preset.written(folder / name, kind, known["config"] | {k: v for k, v in changes.items() if k != "kind"})

    return change


def unwritten(file: Any) -> None:
    """Said to hold much, and nothing was ever written: were it believed, memory would be taken for it."""
    del file[WORDS]
    file.create_dataset(WORDS, (2**15, 2**13), "f4")


WORDS = "layers/reversible_embedding/vars/0"
MERGES, IDS = preset.ASSETS / "merges.txt", preset.ASSETS / "vocabulary.json"


def of(family: str, change: Change) -> Change:
    """A change of the preset of another family."""

    def changed(folder: Path) -> None:
        shutil.rmtree(folder)
        change(tiny_preset.write(folder, family))

    return changed


def without(token: str, **others: Any) -> Change:
    def change(folder: Path) -> None:
        known = json.loads((folder / IDS).read_text(encoding="utf-8"))
        known.pop(token)
        (folder / IDS).write_text(json.dumps(known | others), encoding="utf-8")

    return change


def padded(place: int) -> Change:
    return without("<pad>", **{"<pad>": place})


def parts(change: Change) -> Change:
    """Share the weights out among two files, as those of large presets are; then change something."""

    def share_out(folder: Path) -> None:
        where: dict[str, list[str]] = {}
        with h5py.File(folder / preset.WEIGHTS) as whole:
            held = {name: array[()] for name, array in hdf5.arrays(folder / preset.WEIGHTS, whole, 2**20).items()}
        for place, (name, array) in enumerate(held.items()):
            part = f"model_0000{place % 2}.weights.h5"
            where.setdefault(f"/{name.rpartition('/')[0]}", []).append(part)
            with h5py.File(folder / part, "a") as file:
                file[name] = array
        (folder / preset.WEIGHTS).unlink()
        (folder / preset.INDEX).write_text(json.dumps({"weight_map": where}))
        change(folder)

    return share_out


def index(named: object) -> Change:
    return lambda folder: (folder / preset.INDEX).write_text(json.dumps({"weight_map": {"/layers/a/vars": named}}))


PART = "model_00001.weights.h5"
VOCABULARY = preset.ASSETS / "vocabulary.txt"
CASES: dict[str, tuple[type[DataError], str, Change]] = {
    "another": (
        BrokenData, "is a preset of KerasHub's T5Backbone, and luodi reads those of BertBackbone, .*export_to_trans",
        config(kind="T5Backbone"),
    ),
    "no numbers": (BrokenData, "`num_hidden_layers` is None, expected a number", config(num_layers=None)),
    "more layers": (BrokenData, "weights.h5 is not of the model .* holds no encoder.layer.2", config(num_layers=3)),
    "fewer layers": (BrokenData, "it holds encoder.layer.1.* too", config(num_layers=1)),
    "more words": (BrokenData, "is of shape .*, expected .30522, 16", config(vocabulary_size=30522)),
    "heads": (BrokenData, "3 heads cannot share a width of 16", config(num_heads=3)),
    "cut": (
        BrokenData, "model.weights.h5 cannot be read .*: it did not come whole",
        lambda folder: (folder / preset.WEIGHTS).write_bytes((folder / preset.WEIGHTS).read_bytes()[:4000]),
    ),
    "unwritten": (BrokenData, "holds arrays of more than [0-9,]+ bytes together", in_weights(unwritten)),
    "endless": (
        BrokenData, "holds groups without an end", in_weights(lambda file: file.__setitem__("layers/a", file["layers"]))
    ),
    "no array": (
        BrokenData, "holds arrays that are not plain .layers/a", in_weights(lambda file: file.create_dataset(
            "layers/a", dtype="f4")),
    ),
    "no weights": (
        MissingData, "holds no model.weights.h5: expected a preset as KerasHub writes it",
        lambda folder: (folder / preset.WEIGHTS).rename(folder / "model_00000.weights.h5"),
    ),
    "no tokenizer": (
        MissingData, "holds no tokenizer.json: expected a preset",
        lambda folder: (folder / "tokenizer.json").rename(folder / "vocab.txt"),
    ),
    "a part away": (
        MissingData, "holds no model_00001.weights.h5, which model.weights.json names: get the whole preset",
        parts(lambda folder: (folder / PART).unlink()),
    ),
    "a part cut": (
        BrokenData, "model_00001.weights.h5 cannot be read",
        parts(lambda folder: (folder / PART).write_bytes((folder / PART).read_bytes()[:2000])),
    ),
    "index leaves": (BrokenData, r"'\.\./x\.weights\.h5' is no file of weights", parts(index(["../x.weights.h5"]))),
    "index of code": (BrokenData, "'x.bin' is no file of weights", parts(index("x.bin"))),
    "empty index": (BrokenData, "None is no file of weights", parts(index([]))),
    "a link": (
        BrokenData, "leads to another file", in_weights(lambda one: one.__setitem__("a", h5py.ExternalLink("/b", "/")))
    ),
    "no vocabulary": (
        MissingData, "holds no assets/tokenizer/vocabulary.txt", lambda folder: (folder / VOCABULARY).unlink()
    ),
    "more tokens": (
        BrokenData, "does not fit the weights: it knows 442 tokens, its largest id is 441, and there are 441 v",
        lambda folder: (folder / VOCABULARY).write_text("\n".join([*tiny_encoder.VOCABULARY, "more"])),
    ),
    "no special token": (
        BrokenData, "`pad_token_id` is None", lambda folder: (folder / VOCABULARY).write_text("a\nb\n")
    ),
    "other pieces": (
        BrokenData, "is no tokenizer .`suffix_indicator` is '@@'", config("tokenizer.json", suffix_indicator="@@")
    ),
    "no merges": (
        MissingData, "holds no assets/tokenizer/merges.txt", of("roberta", lambda folder: (folder / MERGES).unlink())
    ),
    "another pad": (BrokenData, "is no tokenizer .<pad> is of the id 3, and RoBERTa's is 1", of("roberta", padded(3))),
    "no frame": (BrokenData, "is no tokenizer .it has no </s>", of("roberta", without("</s>"))),
    "no ids": (BrokenData, "is no tokenizer", of("roberta", without("</s>", **{"</s>": "2"}))),
    "pooling": (
        BrokenData, "task.json: it pools by max",
        lambda folder: tiny_preset.written(folder / preset.TASK, "BertTextEmbedder", {"pooling_mode": "max"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_preset_is_refused(case: str, tmp_path: Path) -> None:
    kind, says, change = CASES[case]
    folder = tiny_preset.write(tmp_path / "tiny")
    change(folder)
    with pytest.raises(kind, match=says) as error:
        checkpoint.read(folder)
    assert type(error.value) is kind
    assert "\n" not in str(error.value)


def test_a_token_may_be_an_end_of_a_line_to_unicode() -> None:
    assert untrusted.lines("a\n\u2028\n\x85\nb\n") == ["a", "\u2028", "\x85", "b"]


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("family", tiny_preset.BACKBONES)
def test_kerashub_itself_gives_the_same_ids_and_vectors(family: str, tmp_path: Path) -> None:
    hub = pytest.importorskip("keras_hub", reason="KerasHub is no requirement; in an environment with it")
    import onnxruntime

    from luodi.pretrained import graph

    folder = tiny_preset.write(tmp_path / "tiny", family)
    found = checkpoint.read(folder)
    encoder = subwords.Encoder((), found.length, found.pad, found.tokenizer)
    ids, framed = encoder.ids(TEXTS[:3]), int(family != "gpt2")
    theirs = hub.tokenizers.Tokenizer.from_preset(str(folder))
    assert [one[framed : len(one) - framed] for one in ids] == [list(map(int, theirs(text))) for text in TEXTS[:3]]
    rows = subwords.padded(ids, found.pad)
    seen = np.array([[place < len(one) for place in range(rows.shape[1])] for one in ids], np.int32)
    given = {"token_ids": rows, "padding_mask": seen, "segment_ids": np.zeros_like(rows)}
    network = hub.models.Backbone.from_preset(str(folder))
    expected = network.predict({key: given[key] for key in network.input}, verbose=0)
    expected = expected["sequence_output"] if isinstance(expected, dict) else expected
    if found.pooling == "mean":
        expected = (expected * seen[..., None]).sum(1) / seen.sum(1, keepdims=True)
    else:
        expected = np.stack([expected[row, len(one) - 1] for row, one in enumerate(ids)])
    session = onnxruntime.InferenceSession(graph.of(found).SerializeToString())
    assert np.abs(session.run(["vectors"], {"x": rows})[0] - expected).max() < 1e-5


def test_weights_may_be_in_several_files(tmp_path: Path) -> None:
    whole, several = (tiny_preset.write(tmp_path / name) for name in ("whole", "several"))
    parts(lambda folder: None)(several)
    expected, found = (checkpoint.read(folder).tensors() for folder in (whole, several))
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
