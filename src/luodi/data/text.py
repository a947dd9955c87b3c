"""Text in, ids out: cleaning, augmentation, tokenizers. Vectorized over whole columns with Arrow and NumPy.

The same rules clean a million rows in preprocess and one row in `luodi predict`, so that what was learned is what is
served; a row or two that no rule touches are cleaned without Arrow, whose every call costs as much as a short text.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.config import TextAugment, TextPreprocess
from luodi.data import modality, ngrams
from luodi.data.modality import Augment
from luodi.data.ngrams import code_points
from luodi.errors import EmptyData
from luodi.system.threads import in_threads
from luodi.terminal import shown

CHUNK = 8192  # rows cleaned at a time, and encoded at most
CLEAN = pa.string()
MASK = "□"
PAD, UNKNOWN = 0, 1
START, END = "\x02", "\x03"  # of a text, for n-grams; a clean one holds neither

# Order matters: an e-mail may hold a number, an ID is longer than a phone number.
PERSONAL = (
    ("[EMAIL]", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    ("[ID]", r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"),
    ("[CARD]", r"[3-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,4}(?:[ -]?[0-9]{1,3})?"),
    ("[CARD]", r"3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5}"),
    ("[PHONE]", r"(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"),
)
TAG = r"(?s)<!--.*?-->|</?[A-Za-z][^<>]*>"
INVISIBLE = r"\p{Cf}+"
CONTROL = r"[\p{Cc}\x{FFFD}]+"
BLANK = r"[\s\p{Z}\p{Cc}]+"
UNFOLDED = r"\p{Cc}|[^\P{Z} ]|  |\A | \z"  # where blanks are more than single spaces between words
MAYBE_PERSONAL = "@|[0-9]{3}[ -]?[0-9]{4}"  # found in whatever holds personal data
# Found in whatever holds an entity, a tag, U+FFFD or personal data, its blanks folded; RE2 and Python read it alike.
SUSPECT = f"[&<\ufffd]|{MAYBE_PERSONAL}"
SUSPECTED = re.compile(SUSPECT)
FEW = 8  # texts; more are cleaned faster as a column


class Nothing(EmptyData):
    """A text of which nothing is left when it is clean."""

    def __init__(self, text: str) -> None:
        super().__init__(f"there is nothing to classify in {shown(repr(text), 60)}: {REASON}; give a text with words")


REASON = "nothing is left without tags, blanks and what nobody sees"


def item(one: Any) -> str:
    """Return a text as it is; see `luodi.data.modality`."""
    if isinstance(one, str):
        return str(one)
    raise TypeError("expected a text; drop or fill what is missing")


def column(texts: Sequence[str]) -> pa.Array:
    """Strings as an Arrow column. Unlike `pa.array` this does not import pandas, which costs a second."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return _strings(b"".join(encoded), ends)


def clean(texts: pa.Array) -> pa.Array:
    """Normalise a column of strings [n] without nulls.

    NFKC; HTML entities decoded; tags, control characters and U+FFFD become spaces; invisible format characters
    go; mainland mobile numbers, e-mail addresses, ID and card numbers masked by `[PHONE]`, `[EMAIL]`, `[ID]` and
    `[CARD]`; white space folded to single spaces and trimmed. Cleaning a clean text changes nothing.
    """
    return _few(texts, lambda plain: plain, rf"{UNFOLDED}|{SUSPECT}|\p{{Cf}}", _clean_unfolded)


def clean_list(texts: Sequence[str]) -> list[str]:
    """`clean` of texts as they are in Python; a few plain ones are done in microseconds."""
    if len(texts) <= FEW:
        plain = [" ".join(unicodedata.normalize("NFKC", text).split()) for text in texts]
        # What is printable holds neither controls nor what is invisible, nor what only a later Unicode knows.
        if all(text.isprintable() and not SUSPECTED.search(text) for text in plain):
            return plain
    cleaned: list[str] = clean(column(texts)).to_pylist()
    return cleaned


def cleaned(texts: Sequence[str]) -> list[str]:
    """`clean_list` of texts that are to be classified.

    Raises:
        Nothing: Of one nothing is left when it is clean.
    """
    found = clean_list(texts)
    if "" in found:
        raise Nothing(texts[found.index("")])
    return found


def _clean_unfolded(texts: pa.Array) -> pa.Array:
    # Rules run on the rows as they were: to fold blanks first may change what a rule finds.
    return _few(texts, _fold, rf"{SUSPECT}|\p{{Cf}}", _apply_rules)


def _few(
    texts: pa.Array, plainly: Callable[[pa.Array], pa.Array], pattern: str, rules: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Bring texts to NFKC and do `plainly` to them; those where `pattern` is found then get `rules` instead."""
    done = plainly(pc.utf8_normalize(texts, form="NFKC"))
    found = pc.match_substring_regex(done, pattern)
    return _put(done, np.flatnonzero(_booleans(found)), rules(texts.filter(found)))


def _fold(texts: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, BLANK, " "))


def _apply_rules(texts: pa.Array) -> pa.Array:
    result = before = texts
    pending = np.arange(len(texts))
    while len(pending):  # one step may uncover work for another (&amp;lt;b&gt;), in the rows that it changed
        after = _clean_once(before)
        result = _put(result, pending, after)
        changed = pc.not_equal(before, after)
        pending, before = pending[_booleans(changed)], after.filter(changed)
    return result


def _clean_once(texts: pa.Array) -> pa.Array:
    texts = _unescape(pc.utf8_normalize(texts, form="NFKC"))
    texts = pc.replace_substring_regex(texts, TAG, " ")
    texts = pc.replace_substring_regex(texts, INVISIBLE, "")
    texts = pc.replace_substring_regex(texts, CONTROL, " ")
    found = pc.match_substring_regex(texts, MAYBE_PERSONAL)
    return _fold(_put(texts, np.flatnonzero(_booleans(found)), _masked(texts.filter(found))))


def _masked(texts: pa.Array) -> pa.Array:
    if not len(texts):  # Arrow builds an expression even for no text, which takes as long as 100 of them
        return texts
    for token, pattern in PERSONAL:
        # RE2 has no look-around: the neighbours are matched, kept, and a second pass takes what they overlapped.
        for _ in range(2):
            before = texts
            texts = pc.replace_substring_regex(texts, rf"(^|[^0-9])(?:{pattern})($|[^0-9])", rf"\1{token}\2")
            if texts.equals(before):
                break
    return texts


def _unescape(texts: pa.Array) -> pa.Array:
    found = pc.match_substring(texts, "&")
    rows = np.flatnonzero(_booleans(found))
    return _put(texts, rows, column([html.unescape(text) for text in texts.filter(found).to_pylist()]))


def _put(array: pa.Array, rows: NDArray[np.int64], values: pa.Array) -> pa.Array:
    """`array` with `values` in the places `rows`, ascending."""
    if len(rows) in (0, len(array)):
        return values if len(rows) else array
    mask = np.zeros(len(array), bool)
    mask[rows] = True
    bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
    return pc.replace_with_mask(array, pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits]), values)


def _booleans(array: pa.Array) -> NDArray[np.bool_]:
    bits = np.frombuffer(array.buffers()[1], np.uint8)
    return np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)


def _strings(data: bytes, ends: NDArray[np.int64]) -> pa.Array:
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(ends) - 1, buffers).cast(pa.string())


def from_code_points(points: NDArray[np.uint32], lengths: NDArray[np.int64]) -> pa.Array:
    """Inverse of `code_points`: a string column [n]."""
    size = 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    ends = np.concatenate([[0], np.cumsum(size)])[np.concatenate([[0], np.cumsum(lengths)])]
    return _strings(points.astype("<u4").tobytes().decode("utf-32-le").encode(), ends)


def augment(texts: pa.Array, rates: TextAugment, draws: Sequence[np.random.Generator]) -> pa.Array:
    """Return one noisy copy of each text: neighbours swapped, characters masked, characters deleted.

    Each rate is the share of characters touched; `draws` decide, one for each of the three. A text that would lose
    every character is kept as it was.
    """
    swap, mask, delete = draws
    points, lengths = code_points(texts.to_pylist())
    points = _swap(points.copy(), lengths, rates.swap, swap)
    points[mask.random(len(points)) < rates.mask] = ord(MASK)
    keep = delete.random(len(points)) >= rates.delete
    row = np.repeat(np.arange(len(lengths)), lengths)
    left = np.bincount(row[keep], minlength=len(lengths))
    keep |= left[row] == 0
    return from_code_points(points[keep], np.bincount(row[keep], minlength=len(lengths)))


def _swap(
    points: NDArray[np.uint32], lengths: NDArray[np.int64], rate: float, rng: np.random.Generator
) -> NDArray[np.uint32]:
    # Pairs start at even places, so none overlap and a pair's rate is the rate of its characters.
    place = np.arange(len(points)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pair = (place % 2 == 0) & (place + 1 < np.repeat(lengths, lengths)) & (rng.random(len(points)) < rate)
    first = np.flatnonzero(pair)
    points[first], points[first + 1] = points[first + 1], points[first]
    return points


@dataclass(frozen=True)
class Encoder:
    """Turns texts into rows of ids; fitted on train, saved beside the model.

    Ids: 0 pads, 1 is an unknown token (`char`, `word`), the rest are tokens, or n-grams by what they hash to.
    """

    labels: tuple[str, ...]
    tokenizer: str
    max_length: int
    buckets: int
    stop_words: tuple[str, ...]
    vocabulary: tuple[str, ...]
    words: bool = False
    """Whether `ngram` hashes words and pairs of words too, see `luodi.data.words`."""
    grams: int = 3
    """Characters of the longest n-gram."""
    kept: str | None = None
    """The buckets that have an id, ascending: base64 of uint32, little-endian. None, as encoders were before: all have
    one, and n-grams do not tell where a text starts and ends."""

    modality: ClassVar[str] = "text"
    dtype: ClassVar[str] = "int32"
    fixed: ClassVar[bool] = True

    @classmethod
    def fit(cls, texts: Iterable[pa.Array], settings: TextPreprocess, labels: Sequence[str]) -> Self:
        """Learn the tokens of columns of clean train texts; of n-grams those that more than one has."""
        blank = cls.blank(settings, labels)
        if settings.tokenizer == "ngram":
            return blank.keeping(texts)
        counts: Counter[str] = Counter()
        for chunk in texts:
            counts.update(blank._count(chunk.to_pylist()))
        # Ties fall in code point order, so that the vocabulary depends on the counts alone.
        ranked = sorted(counts, key=lambda token: (-counts[token], token))[: settings.vocabulary]
        return replace(blank, vocabulary=tuple(ranked))

    @classmethod
    def blank(cls, settings: TextPreprocess, labels: Sequence[str]) -> Self:
        """Return it as it is before it has learned a token."""
        return cls(
            tuple(labels),
            settings.tokenizer,
            settings.max_length,
            settings.buckets,
            settings.stop_words,
            (),
            settings.words,
            settings.grams,
            "" if settings.tokenizer == "ngram" else None,
        )

    def keeping(self, texts: Iterable[pa.Array]) -> Self:
        """Return it with ids for the n-grams that `ngrams.most_frequent` picks of these clean texts."""
        found = in_threads(lambda chunk: np.sort(self._hashed(chunk.to_pylist())[0]), texts)
        return replace(self, kept=ngrams.pack(ngrams.most_frequent(found, self.buckets)))

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Inverse of `as_json`; raises ValueError, TypeError or KeyError if `raw` is none of it."""
        raw = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
        return cls(**{key: value for key, value in raw.items() if key not in ("size", "length")})

    def as_json(self) -> dict[str, Any]:
        """The fields, and the derived `size` and `length` that a server in another language needs."""
        return {"modality": "text", **asdict(self), "size": self.size, "length": self.length}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an encoded row."""
        return (self.length,)

    @property
    def size(self) -> int:
        """Number of distinct ids, padding included."""
        if self.tokenizer != "ngram":
            return 2 + len(self.vocabulary)
        return 1 + self.buckets if self.kept is None else 1 + self._known.count

    @cached_property
    def length(self) -> int:
        """Ids of a row: all n-grams of the characters kept, and as many words and pairs; or one a token."""
        if self.tokenizer != "ngram":
            return self.max_length
        characters = self.max_length if self.kept is None else self.max_length + len(START + END)
        return sum(max(characters - n, 0) for n in range(self.grams)) + self.words * self.max_length

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Clean and encode raw texts: int32 [n, length].

        Raises:
            Nothing: Of one nothing is left when it is clean.
        """
        return self.encode_ready(self.ready(texts))

    def ready(self, texts: Sequence[str]) -> list[str]:
        """Return the texts clean; see `encode`."""
        return cleaned(texts)

    def encode_clean(self, texts: pa.Array) -> NDArray[np.int32]:
        """Encode a column of clean texts: int32 [n, length]."""
        if self.tokenizer == "ngram":
            return _pad(*self.ids(texts), self.length)
        return self.encode_ready(texts.to_pylist())

    def ids(self, texts: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the ids of the n-grams of a column of clean texts, ascending and end to end, and how many each has."""
        return self._ids_of(*self._hashed(texts.to_pylist()))

    def encode_ready(self, texts: Sequence[str], *, narrow: bool = False) -> NDArray[np.int32]:
        """Encode clean texts: int32 [n, length], or if `narrow` [n, ids of the longest of them, 1 at least]."""
        if self.tokenizer == "word":
            flat, lengths = self._word_ids(texts)
        elif self.tokenizer == "ngram":
            flat, lengths = self._ids_of(*self._hashed(texts))
        else:
            points, lengths = code_points(self._shorten(texts))
            flat = self._table[points]
        return _pad(flat, lengths, max([1, *lengths.tolist()]) if narrow else self.length)

    def _hashed(self, texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """See `ngrams.of_rows`."""
        shortened = self._shorten(texts)
        if self.kept is not None:
            shortened = [f"{START}{text}{END}" if text else text for text in shortened]
        return ngrams.of_rows(shortened, self.buckets, self.words, self.grams)

    def _ids_of(
        self, found: NDArray[np.uint32], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        if self.kept is None:
            return found.astype(np.int32) + np.int32(1), counts
        return self._known.of(found, counts)

    @cached_property
    def _known(self) -> ngrams.Ids:
        return ngrams.Ids(self.kept or "", self.buckets)

    def _shorten(self, texts: Sequence[str]) -> list[str]:
        if self.stop_words:  # by RE2, for Python tries thousands of words one after the other
            longest_first = sorted(self.stop_words, key=len, reverse=True)
            pattern = "|".join(map(re.escape, longest_first))
            texts = pc.replace_substring_regex(column(texts), pattern, "").to_pylist()
        return [text[: self.max_length] for text in texts]

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        table = np.full(0x110000, UNKNOWN, np.int32)
        table[[ord(token) for token in self.vocabulary]] = np.arange(len(self.vocabulary)) + 2
        return table

    def _count(self, texts: Sequence[str]) -> Counter[str]:
        if self.tokenizer == "word":
            return Counter(token for row in self._words(texts) for token in row)
        points, counts = np.unique(code_points(self._shorten(texts))[0], return_counts=True)
        return Counter({chr(point): int(count) for point, count in zip(points, counts, strict=True)})

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        cut, stop = _segmenter(), frozenset(self.stop_words)
        return [[word for word in cut(text) if word != " " and word not in stop][: self.max_length] for text in texts]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.vocabulary, 2)}

    def _word_ids(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        rows = self._words(texts)
        flat = np.fromiter((self._ids.get(word, UNKNOWN) for row in rows for word in row), np.int32)
        return flat, np.array([len(row) for row in rows], np.int64)


def _segmenter() -> Any:
    """jieba, its dictionary built in a private folder: by default it loads a marshal file from a shared one."""
    import logging
    import tempfile

    import jieba

    if not jieba.dt.initialized:
        jieba.setLogLevel(logging.ERROR)
        with tempfile.TemporaryDirectory() as folder:
            jieba.dt.tmp_dir = folder
            jieba.initialize()
    return jieba.lcut


def _pad(flat: NDArray[np.int32], lengths: NDArray[np.int64], width: int) -> NDArray[np.int32]:
    """Rows of `lengths` items, left-aligned in an int32 [n, width] matrix of zeros."""
    if len(lengths) * width == len(flat):
        return flat.reshape(-1, width)
    matrix, start = np.full((len(lengths), width), PAD, np.int32), 0
    for row, length in zip(matrix, lengths.tolist(), strict=True):  # to scatter all at once takes longer
        row[:length] = flat[start : start + length]
        start += length
    return matrix


# What `luodi.data.modality.Modality` asks for.


def cleaner(settings: TextPreprocess) -> Callable[[pa.Array], pa.Array]:
    return clean


def fit_encoder(train: Iterable[pa.Array], settings: TextPreprocess, labels: Sequence[str]) -> Encoder:
    return Encoder.fit(train, settings, labels)


def read_encoder(raw: dict[str, Any], folder: Path = Path()) -> modality.Encoder:
    from luodi.data import subwords  # here, not above: it imports this

    if raw.get("tokenizer") == subwords.KIND:
        return subwords.Encoder.from_json(raw, folder)
    return Encoder.from_json(raw)


def copies(train: Callable[[], Iterable[pa.Array]], settings: TextPreprocess) -> list[Iterator[pa.Array]]:
    if not settings.augment.copies:
        return []
    total = sum(pc.sum(pc.utf8_length(texts)).as_py() for texts in train())
    # The draws of one generator for all texts of a copy at once, and for one copy after the other.
    draws = (np.random.Generator(np.random.PCG64(settings.seed).advance(place * total)) for place in count())
    return [_copy(train(), settings.augment, list(islice(draws, 3))) for _ in range(settings.augment.copies)]


def _copy(train: Iterable[pa.Array], rates: TextAugment, draws: Sequence[np.random.Generator]) -> Iterator[pa.Array]:
    return (augment(texts, rates, draws) for texts in train)


def augmenter(settings: TextPreprocess) -> Augment | None:
    """Nothing: the copies of a text were made once, by `copies`."""
    return None


def samples(items: pa.Array, settings: TextPreprocess, rng: np.random.Generator) -> dict[str, Any]:
    """Return {"pairs": [(text, noisy copy)]}."""
    if not settings.augment.copies:
        return {}
    noisy = augment(items, settings.augment, [rng] * 3)
    return {"pairs": list(zip(items.to_pylist(), noisy.to_pylist(), strict=True))}


def slices(items: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the "length" of each text, characters."""
    return {"length": np.array([len(text) for text in items], np.int64)}
