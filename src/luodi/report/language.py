"""Finished pages in another language: what a page says is looked up, a sentence at a time, in one table.

Pages of stages are outputs of DVC, and what a tag says of the gate's rules is English for good: a page gets its
language where it is delivered, as it gets its head, and those that an older luodi made get it too. `chinese.txt` is the
table: a line of English and, indented below it, the same in Chinese. In both, {n...} stands for a figure, {w...} for
words that are in the table themselves, {x...} for what is data and stays as it is, {k...} for data without a space;
<b> is markup, and [s] may be there or not. What the table does not have stays English, and so does data: rows, labels,
names, settings, commands.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from luodi.report.markdown import inert

TAGS = {"en": "en", "zh": "zh-CN"}  # BCP 47
TOKEN = re.compile(r"(<style>.*?</style>|<!--.*?-->|<[^>]*>)", re.DOTALL)
NAME = re.compile(r"<(/?[a-z0-9]+)")
COLUMN = re.compile(r'\bdata-name="([^"]*)"')
SPOKEN = re.compile(r'\b(aria-label|alt|data-name)="([^"]*)"')
MARKS = {
    name: chr(0xFDD0 + place) for place, name in enumerate(("a", "/a", "b", "/b", "code", "/code", "span", "/span"))
}
"""A character that no text has, for Unicode calls it none, for each tag that may stand amid a sentence."""
BETWEEN = re.compile("((?:[\ufdd0-\ufdd7].)+)", re.DOTALL)
ENDING = frozenset(mark for name, mark in MARKS.items() if name[0] == "/")
MARK = re.compile("([\ufdd0-\ufdd7])(.)", re.DOTALL)  # and the number of the tag on its line
FIRST = 0xF0000
FRONT = re.compile(r"---\n.*?\n---\n", re.DOTALL)
TITLE = re.compile(r"#+ (.*)")
PIECE = re.compile(r"(^#+ |^- |\*\*|(?<!\\)\|)")
ESCAPED = re.compile(r"\\([\\`*_\[\]|~$#+.)=-])")
WORD = re.compile("[A-Za-z]{2}")
SENTENCE = re.compile("(?<=[.;:!?]) |(?<=[.;:!?][\ufdd0-\ufdd7].) ", re.DOTALL)
SLOT = re.compile(r"\{([knwx]\w*)\}|<(/?\w+)>|\[(\w+)\]")
FORMS = {"k": r"\S+",
         "n": r"(?:not recorded|none|[-+−±<]?\s?\d(?:[\d,.]*\d)?(?:e[-−+]?\d+)?%?)", "w": ".+?",
         "x": r"(?:(?![.:;!?]\s).)+?"}  # fmt: skip
ENDS = {".": "。", ";": "；", ":": "：", ",": "，"}
TIGHT = "。；：！？，、（）“”《》"  # no space stands beside one of these
SHORT = 12  # characters of a sentence that many others look like
DATA = frozenset({
    "Text", "Image", "Row", "Truth", "Taken for", "Predicted", "Baseline says", "Challenger says", "Champion says",
    "Class", "Label", "Source", "Test row", "Train row", "Clean text", "Augmented", "Answered",
})  # fmt: skip
"""Columns of data: the first line of a cell is what came with the rows."""
OURS = frozenset({"All labels", "not recorded", "(blank)", "(missing)"})  # words in such a column
SETTINGS = frozenset({"Settings", "Settings of the gate"})
"""Parts whose tables hold nothing but settings."""


@cache
def table() -> dict[str, str]:
    """Return the sentences of the table with what they are in Chinese.

    Raises:
        ValueError: A sentence stands there twice, or has no other below it.
    """
    lines = Path(__file__).with_name("chinese.txt").read_text(encoding="utf-8").splitlines()
    told = [line for line in lines if line.strip() and not line.startswith("#")]
    found: dict[str, str] = {}
    for english, other in zip(told[::2], told[1::2], strict=True):
        if english.startswith(" ") or not other.startswith(" ") or english in found:
            raise ValueError(f"expected a new sentence and one below it, indented; found {english!r}, {other!r}")
        sign = ENDS.get(english[-1], " ")
        found[english.removesuffix(english[-1] if other.endswith(sign) else "")] = other.strip().removesuffix(sign)
    return found


def translated(page: str, lang: str, names: frozenset[str] = frozenset()) -> str:
    """Return a finished page in another language; as it is, if it is in another than English already.

    Args:
        page: HTML, as `page.headed` returns it.
        lang: "en" or "zh".
        names: Labels and the like: where one is all that stands somewhere, it stays, whatever else it means.
    """
    if lang == "en" or spoken(page) != "en":
        return page
    page = page.replace('<html lang="en">', f'<html lang="{TAGS[lang]}">', 1)
    return "".join(_Page(names).told(TOKEN.split(page)))


def spoken(page: str) -> str:
    """Return the language of a page: "en" or "zh"."""
    found = re.search(r'<html lang="([a-z]+)', page)
    return found[1] if found else "en"


def markdown(text: str, lang: str, names: frozenset[str] = frozenset()) -> str:
    """Return Markdown of ours in another language, line by line; arguments as of `translated`."""
    if lang == "en":
        return text
    head = FRONT.match(text)
    start, said, settings = head.end() if head else 0, list[str](), False
    for line in text[start:].splitlines(keepends=True):
        if title := TITLE.match(line):
            settings = title[1] in SETTINGS
        parts = [line] if settings and not title else PIECE.split(line)
        said.append("".join(one if place % 2 else _inert(one, names) for place, one in enumerate(parts)))
    return text[:start] + "".join(said)


def _inert(piece: str, names: frozenset[str]) -> str:
    """Return what stands between two signs of Markdown in Chinese."""
    said = html.unescape(ESCAPED.sub(r"\1", piece.strip()))
    if not WORD.search(said) or said in names or (found := _words(said, names)) == said:
        return piece
    return piece.replace(piece.strip(), str(inert(found)), 1)


class _Page:
    """Walks through a page: what stands between two tags that end a line is a run of words and markup."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.run: list[str] = []
        self.data = self.settings = self.examples = self.title = False

    def told(self, tokens: list[str]) -> Iterator[str]:
        for place, token in enumerate(tokens):
            name = NAME.match(token) if place % 2 else None
            if not place % 2 or (name and name[1] in MARKS):
                self.run.append(token)
            else:
                yield self._flushed()
                yield self._tag(token, name[1] if name else "")
        yield self._flushed()

    def _flushed(self) -> str:
        said, self.run = "".join(self.run), []
        words = " ".join(html.unescape(TOKEN.sub("", said)).split())
        if self.title:
            self.settings = words in SETTINGS
        if not WORD.search(words) or words in self.names or (self.data and words not in OURS):
            return said
        return _run(said, self.names)

    def _tag(self, token: str, name: str) -> str:
        if name in ("ul", "/ul"):
            self.examples = "examples" in token
        if name in ("td", "th"):
            column = COLUMN.search(token)
            self.data = self.settings or (column is not None and html.unescape(column[1]) in DATA)
        elif name == "li":
            self.data = self.examples
        elif name in ("br", "div", "/td", "/th", "/li"):
            self.data = False
        self.title = name == "h2"
        self.settings = self.settings and not self.title
        return SPOKEN.sub(self._attribute, token) if "=" in token else token

    def _attribute(self, found: re.Match[str]) -> str:
        said = html.unescape(found[2])
        return found[0] if said in self.names else f'{found[1]}="{html.escape(_words(said, self.names))}"'


def _run(said: str, names: frozenset[str]) -> str:
    """Return a run in Chinese, with its markup."""
    if MARK.search(said):  # nobody writes these
        return said
    tags: list[str] = []

    def mark(found: re.Match[str]) -> str:
        tags.append(found[0])
        return MARKS[NAME.match(found[0])[1]] + chr(FIRST + len(tags) - 1)  # type: ignore[index]

    text = html.unescape(TOKEN.sub(mark, said))
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    words = " ".join(text.split())
    found = _words(words, names)
    if found == words:
        return said
    found = html.escape(found, quote=False)
    return before + MARK.sub(lambda one: tags[ord(one[2]) - FIRST], found) + after


def _words(text: str, names: frozenset[str]) -> str:
    """Return words in Chinese: as a whole, else as many sentences at a time as the table has, else between its tags."""
    parts, found = _sentences(text), list[str]()
    while parts:
        for end in range(len(parts), 0, -1):
            told = _sentence(" ".join(parts[:end]), names)
            if told is not None:
                break
        else:
            told, end = _between(parts[0], names), 1
        found.append(told)
        parts = parts[end:]
    return _joined(found)


def _sentences(text: str) -> list[str]:
    """Split a text behind its sentences, but not within an element."""
    parts, start = list[str](), 0
    for space in SENTENCE.finditer(text):
        marks = [one[1] for one in MARK.finditer(text, 0, space.start())]
        if 2 * sum(one in ENDING for one in marks) == len(marks):
            parts.append(text[start : space.start()])
            start = space.end()
    return [*parts, text[start:]]


def _joined(parts: list[str]) -> str:
    said = ""
    for one in parts:
        space = said and one and said[-1] not in TIGHT and one[0] not in TIGHT
        said += (" " if space else "") + one
    return said


def _between(text: str, names: frozenset[str]) -> str:
    """Return what stands between marks in Chinese, each for itself."""
    parts = BETWEEN.split(text)
    return (
        "".join(one if place % 2 else _kept(one, names) for place, one in enumerate(parts)) if len(parts) > 1 else text
    )


def _kept(text: str, names: frozenset[str]) -> str:
    """Return words in Chinese, between the spaces they stand in."""
    words = text.strip()
    return text.replace(words, _words(words, names), 1) if words else text


def _sentence(text: str, names: frozenset[str]) -> str | None:
    """Return what the table has for a text, whatever sign ends it; None if it has nothing. A name stays what it is."""
    if text in names or not WORD.search(text):
        return text
    sign = ENDS.get(text[-1], "")
    said = text[:-1] if sign else text
    found = _exact(said) or _filled(said, names, comma=True) or _listed(said, names) or _filled(said, names)
    return found + sign if found is not None else None


def _exact(text: str) -> str | None:
    return table().get(text) or table().get(text[:1].swapcase() + text[1:])


def _listed(text: str, names: frozenset[str]) -> str | None:
    """Return a list, each of which the table has, in Chinese."""
    for comma, other in (("; ", "；"), (", ", "、")):
        parts = text.split(comma)
        told = [_sentence(one, names) for one in parts] if len(parts) > 1 else [None]
        if all(told):
            said = other.join(one for one in told if one)
            return text if said == text.replace(comma, other) else said
    return None


def _filled(text: str, names: frozenset[str], *, comma: bool = False) -> str | None:
    """Return a sentence with slots filled in; with `comma` only one that has a comma itself, and is no list for it."""
    for form in _forms():
        if form.longest in text and (form.comma or not comma) and (match := form.pattern.fullmatch(text)):
            found = form.filled(match, names)
            if found is not None:
                return found
    return None


@dataclass(frozen=True)
class _Form:
    """A sentence with slots; the `longest` of what stands between them is looked for first."""

    pattern: re.Pattern[str]
    longest: str
    length: int
    comma: bool
    other: tuple[str, ...]

    def filled(self, match: re.Match[str], names: frozenset[str]) -> str | None:
        """Return the other sentence; None where a short one stands around words that the table does not have."""
        texts, slots = self.other[::2], self.other[1::2]
        if self.length < SHORT and any(slot[0] == "w" and _sentence(match[slot], names) is None for slot in slots):
            return None
        told = [_words(match[one], names) if one[0] in "nw" else match[one] for one in slots]
        return texts[0] + "".join(value + text for value, text in zip(told, texts[1:], strict=True))


@cache
def _forms() -> list[_Form]:
    """The sentences with slots, those that say most first."""
    found = [_form(english, other) for english, other in table().items() if SLOT.search(english)]
    return sorted(found, key=lambda one: -one.length)


def _form(english: str, other: str) -> _Form:
    parts = _parted(english)
    pattern = "".join(_expected(one) if place % 2 else re.escape(one) for place, one in enumerate(parts))
    literals = parts[::2]
    said = "".join(literals)
    return _Form(re.compile(pattern, re.DOTALL), max(literals, key=len), len(said), ", " in said, tuple(_parted(other)))


def _parted(text: str) -> list[str]:
    """Return what stands between slots, and the name of each slot: text, name, text, name, ... text."""
    parts, end, seen = list[str](), 0, Counter[str]()
    for slot in SLOT.finditer(text):
        tag, maybe = slot[2], slot[3]
        seen[tag] += 1
        name = slot[1] or (f"maybe_{maybe}" if maybe else f"{tag.replace('/', 'end_')}_{seen[tag]}")
        parts += [text[end : slot.start()], name]
        end = slot.end()
    return [*parts, text[end:]]


def _expected(name: str) -> str:
    """Return the expression of a slot."""
    kind, _, rest = name.partition("_")
    if kind == "maybe":
        return f"(?:{rest})?"
    tag = name.rpartition("_")[0].replace("end_", "/")
    return f"(?P<{name}>{MARKS[tag]}.)" if tag in MARKS else f"(?P<{name}>{FORMS[name[0]]})"
