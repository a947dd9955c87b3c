"""The tokenizer of a checkpoint, as JSON that Hugging Face's `tokenizers` reads, proven to fit the weights."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luodi.data import subwords, vocabularies
from luodi.errors import BrokenData
from luodi.pretrained import preset, sentences, untrusted
from luodi.terminal import shown

TOKENIZER, VOCABULARY, IDS, MERGES = "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"
FORMS = ((TOKENIZER,), (VOCABULARY,), (IDS, MERGES))
"""The files that a tokenizer may be in: the first of these that are there are read."""
SETTINGS, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
CLASSES = ("Bert", "DistilBert", "Electra", "Roberta", "GPT2")
"""Of the tokenizers that a vocabulary alone makes."""
FRAMED = re.compile(r"<.+>|\[.+\]")
"""What a vocabulary alone has for a token that is no word."""
WRITE = (
    'in an environment with transformers, sentencepiece and protobuf, write it with `python -c "from transformers '
    "import AutoTokenizer; AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')\"`"
)


def lacking(folder: Path, forms: Sequence[tuple[str, ...]]) -> str | None:
    """Return what is to be there; None where a tokenizer of one of the forms is.

    Raises:
        BrokenData: It is of sentencepiece's form alone.
    """
    if any(all((folder / name).is_file() for name in form) for form in forms):
        return None
    if pieces := sorted(path.name for path in folder.glob("*.model")):
        raise BrokenData(
            f"{folder} has its tokens in {shown(pieces[0], 60)} (sentencepiece), and luodi reads {TOKENIZER}: "
            f"{WRITE.format(folder)}"
        )
    first, *others = (" and ".join(form) for form in forms)
    return f"{first} (or {', or '.join(others)})" if others else first


def read(folder: Path, config: Mapping[str, Any], vocabulary: int, *, framed: bool) -> str:
    """Return the tokenizer as JSON, proven to give no id that the encoder has no vector for.

    Args:
        config: What config.json holds.
        vocabulary: How many vectors of tokens there are.
        framed: Whether "<s>" and "</s>" stand around a text whose tokens are pairs of bytes.

    Raises:
        BrokenData: It is none, or not that of the weights.
    """
    path = folder / next(form[0] for form in FORMS if (folder / form[0]).is_file())
    try:
        text = _lowered(folder, _text(path, config, framed=framed))
        known = subwords.opened(text).get_vocab(with_added_tokens=True)
    except ValueError as error:
        raise BrokenData(f"{path} is no tokenizer ({shown(str(error), 200)}): get it again") from None
    if not known or max(known.values()) >= vocabulary or 2 * len(known) < vocabulary:
        raise BrokenData(
            f"{path} does not fit the weights: it knows {len(known):,} tokens, its largest id is "
            f"{max(known.values(), default=None)}, and there are {vocabulary:,} vectors of tokens; get both of one "
            "checkpoint"
        )
    return text


def pad(folder: Path, tokenizer: str, given: int, *, fixed: bool) -> int:
    """Return the id that pads: `given`, that of config.json, or where this is a word, what the tokenizer says.

    What is the id that pads is not seen: a word of that id would never be. Multilingual MiniLM and E5, among others,
    have the number of another tokenizer in config.json.

    Args:
        fixed: Whether the encoder's own positions depend on it.
    """
    known = subwords.opened(tokenizer)
    token = known.id_to_token(given)
    if token is None or "pad" in token.lower():
        return given
    own = None if fixed else known.token_to_id(_padding(folder))
    if own is not None:
        return own
    raise BrokenData(
        f"{folder / 'config.json'} does not fit the tokenizer: `pad_token_id` is {given}, and that is "
        f"{shown(repr(token), 60)}; get both of the same checkpoint, or write there the id of the token that pads"
    )


def require_end(folder: Path, tokenizer: str, given: int) -> None:
    """Raise BrokenData where the id that ends all texts is that of a word: it pads, and the word would not be seen."""
    known = subwords.opened(tokenizer)
    token = known.id_to_token(given)
    if token is None or given in known.get_added_tokens_decoder() or FRAMED.fullmatch(token):
        return
    raise BrokenData(
        f"{folder / 'config.json'} does not fit the tokenizer: `eos_token_id` is {given}, and that is "
        f"{shown(repr(token), 60)}; get both of the same checkpoint, or write there the id of what ends a text"
    )


def _text(path: Path, config: Mapping[str, Any], *, framed: bool) -> str:
    folder = path.parent
    if preset.name(config):
        return preset.tokenizer(folder, config)
    if path.name == TOKENIZER:
        return untrusted.text(path)
    settings = _object(folder / SETTINGS)
    kind = str(settings.get("tokenizer_class") or CLASSES[0])
    if kind.removesuffix("Fast").removesuffix("Tokenizer") not in CLASSES:
        raise ValueError(f"it is of a {shown(kind, 60)}, whose words {path.name} alone does not tell apart")
    if path.name == VOCABULARY:
        return vocabularies.of_vocabulary(
            untrusted.lines(untrusted.text(path)),
            lowercase=settings.get("do_lower_case") is not False,
            strip_accents=settings.get("strip_accents"),
            apart=settings.get("tokenize_chinese_chars") is not False,
        )
    merges = vocabularies.merges(untrusted.lines(untrusted.text(folder / MERGES)))
    spaced = settings.get("add_prefix_space") is True
    return vocabularies.of_merges(untrusted.json_object(path), merges, spaced=spaced, framed=framed)


def _lowered(folder: Path, text: str) -> str:
    """The same tokenizer of small letters, where sentence-transformers makes such of a text before it."""
    if _object(folder / sentences.SETTINGS).get("do_lower_case") is not True:
        return text
    from tokenizers.normalizers import Lowercase, Sequence

    found = subwords.opened(text)
    found.normalizer = Sequence([Lowercase(), *([found.normalizer] if found.normalizer else [])])
    lowered: str = found.to_str()
    return lowered


def _padding(folder: Path) -> str:
    for name in (SETTINGS, SPECIAL):
        token = _object(folder / name).get("pad_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return ""


def _object(path: Path) -> dict[str, Any]:
    return untrusted.json_object(path) if path.is_file() else {}
