"""Texts without labels, a line each, of files or of folders of them; and the tokenizer that they make."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from luodi.data import encodings, text, vocabularies
from luodi.errors import BrokenData, MissingData

SUFFIX = ".txt"
FEWEST = 100
LINES = 100_000  # cleaned at a time
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The first tokens of a vocabulary: what is no text."""


def read(sources: Sequence[Path]) -> list[str]:
    """Return the clean texts of files, and of the files .txt below folders: each once, in their order.

    Raises:
        MissingData: There is no such file, or none in a folder.
        BrokenData: A file is no text, or all together hold fewer than `FEWEST`.
    """
    found: dict[str, None] = {}
    for path in (path for source in sources for path in _files(source)):
        for part in _parts(path):
            found.update(dict.fromkeys(text.clean_list(part)))
    found.pop("", None)
    if len(found) < FEWEST:
        raise BrokenData(
            f"{', '.join(map(str, sources))}: {len(found):,} texts, a line each, expected at least {FEWEST}: bring more"
        )
    return list(found)


def tokenizer(texts: Sequence[str], size: int) -> str:
    """Return a tokenizer of a BERT as JSON, of at most `size` parts of words that occur twice in clean texts.

    Chinese characters stand alone; capitals count as small letters.
    """
    from tokenizers.implementations import BertWordPieceTokenizer

    found = BertWordPieceTokenizer(lowercase=True)
    first = [*SPECIAL, *_continuing(found, texts)]
    found.train_from_iterator(
        texts, size, min_frequency=2, limit_alphabet=size // 2, special_tokens=first, show_progress=False
    )
    known = sorted(found.get_vocab().keys() - set(SPECIAL))
    return vocabularies.of_vocabulary([*SPECIAL, *known], lowercase=True)


def _continuing(tokenizer: Any, texts: Sequence[str]) -> list[str]:
    """The letters that stand within words: in their own order, in which the library has them by chance, parts of words
    that occur equally often would be joined by chance too."""
    seen: Counter[str] = Counter()
    for one in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalize(one)):
            seen.update(word[1:])
    return sorted(f"##{letter}" for letter, count in seen.items() if count > 1)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = sorted(path for path in source.rglob(f"*{SUFFIX}") if path.is_file())
    if not found:
        raise MissingData(
            f"{source} is no file, nor a folder of files {SUFFIX}: expected texts without labels, a line each"
        )
    return found


def _parts(path: Path) -> Iterator[list[str]]:
    with path.open("rb") as file:
        encoding = encodings.detect(file, str(path))
    part: list[str] = []
    try:
        with path.open(encoding=encoding, newline="\n") as lines:
            for line in lines:
                part.append(encodings.storable(line.rstrip("\r\n")))
                if len(part) == LINES:
                    yield part
                    part = []
    except UnicodeError:
        raise encodings.not_text(str(path), encoding) from None
    yield part
