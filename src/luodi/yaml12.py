"""YAML as DVC reads it (version 1.2), and no more of it than a project needs: plain values, and nothing that explodes.

A reason is one line that says where. What YAML 1.1 and 1.2 read differently (`yes`, 010, 1:30, a date) is refused in
what people write; what DVC writes is read as DVC means it.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from luodi.errors import LuodiError
from luodi.terminal import shown

LARGEST = 2**19  # bytes of a file of a person's
DEEPEST = 50  # lists and mappings inside one another
SPARE = 100_000  # values that aliases may add

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NUMBERS: dict[str, Callable[[str], Any]] = {
    r"[-+]?[0-9]+": int,
    r"[-+]?0x[0-9a-fA-F]+": lambda text: int(text, 16),
    r"[-+]?0o[0-7]+": lambda text: int(text, 8),
    r"[-+]?0b[01]+": lambda text: int(text, 2),
    r"[-+]?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+][0-9]+)?)": float,
    r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)": lambda text: float(text.replace(".", "")),
}
WORDS = {"": None, "~": None, **{form(word): value for form in (str.lower, str.title, str.upper)
         for word, value in (("null", None), ("true", True), ("false", False))}}  # fmt: skip
FIGURES, LONGEST = frozenset("-+.0123456789"), 255  # what a number begins with, and its characters at most
UNSURE = frozenset(("yes", "no", "on", "off", "=", "<<"))
UNSURE_NUMBER = re.compile(
    r"[-+]?0[0-9_]+|[-+]?0[ob][0-9_]+|(?=.*_)([-+]?[0-9._]+([eE][-+]?[0-9]+)?|[-+]?0x[0-9a-fA-F_]+)"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?|[-+]?\.[0-9]+[eE][0-9]+"
)
BREAKS = re.compile("[\x85\u2028\u2029]")  # of lines in YAML 1.1 alone
MERGED = re.compile("^<{7} ", re.MULTILINE)
FORBIDDEN = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

LEADS_OUT = "a link that leads out of the project, so that no commit holds what it says"


class Unfit(LuodiError):
    """Not YAML, or not what is taken of it; the message is the reason alone."""


def read(path: Path, largest: int = LARGEST) -> str:
    """Return the text of a regular file in UTF-8, with or without a byte order mark.

    Raises:
        Unfit: There is none, it cannot be read, it is larger than `largest` bytes, or not UTF-8.
    """
    if not path.exists():
        raise Unfit(
            "is a link that leads nowhere: remove it"
            if path.is_symlink()
            else f"does not exist: restore it with `git checkout HEAD -- {path.name}`"
        )
    if not path.is_file():
        raise Unfit("is not a regular file: put one in its place")
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise Unfit(f"cannot be read: {error.strerror}") from None
    if len(content) > largest:
        raise Unfit(f"is too large: expected at most {largest:,} bytes, found {path.stat().st_size:,}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unfit(
            f"is not YAML in UTF-8: line {line} holds the byte 0x{content[error.start]:02x}: save the file as UTF-8"
        ) from None


def committed(path: Path) -> str:
    """Return the text of a file that git has of the project, as `read` does.

    Raises:
        Unfit: As of `read`; or it is a link that leads out of the folder: of that a commit holds the name alone.
    """
    text = read(path)
    if leads_out(path, path.parent):
        raise Unfit(f"is {LEADS_OUT}: put the file itself in its place, and commit it")
    return text


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path below a folder leads, by links, to what is not there."""
    return not path.resolve().is_relative_to(root.resolve())


def parse(text: str, strict: bool = True) -> Any:
    """Return what a document of YAML holds: None, bool, int, float, str, list, dict with str keys.

    Args:
        strict: Refuse what YAML 1.1 and 1.2 read differently.

    Raises:
        Unfit: It is not YAML, holds a key twice or one that is no text, a tag, or too much.
    """
    if match := FORBIDDEN.search(text) or (BREAKS.search(text) if strict else None):
        raise _unfit(text.count("\n", 0, match.start()) + 1, f"holds {shown(repr(match[0]))}: remove it")
    try:
        return _Reader(text, strict).document()
    except yaml.MarkedYAMLError as error:
        if merged := MERGED.search(text):
            line = text.count("\n", 0, merged.start()) + 1
            raise _unfit(line, "a merge left both sides (<<<<<<<): leave one of them, without the marks") from None
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        begins = text.splitlines()[line : line + 1] or [""]
        tab = "; indent by spaces, not tabs" if re.match(r" *\t", begins[0]) else "; correct it"
        raise _unfit(line + 1, f"{error.problem}{tab}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Unfit(f"is not YAML in UTF-8: {error}") from None


def find(text: str, place: list[Any], *, end: bool = False) -> tuple[int, int]:
    """Return line and column, from 1, of what is at `place` (keys and indices), or near it; `parse` takes the text.

    With `end`, of what stands behind it.
    """
    node = yaml.compose(text, LOADER)
    line = column = 0
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key.start_mark, value) for key, value in node.value if key.value == part]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(value.start_mark, value) for value in node.value[part : part + 1]]
        else:
            break
        if not found:
            break
        mark, node = found[-1]
        line, column = mark.line, mark.column
    if end and node is not None:
        line, column = node.end_mark.line, node.end_mark.column
    return line + 1, column + 1


def _unfit(line: int, reason: str) -> Unfit:
    return Unfit(f"is not YAML in UTF-8: line {line}: {reason}")


class _Reader:
    """Makes values of the events of one document; a value comes with its size, counting itself and what is in it."""

    def __init__(self, text: str, strict: bool) -> None:
        # A tab between values is nothing to the quick loader, and an error to DVC's and to this one.
        self._events: Iterator[Any] = yaml.parse(text, yaml.SafeLoader if "\t" in text else LOADER)
        self._strict = strict
        self._left = len(text) + SPARE
        self._known: dict[str | None, tuple[Any, int] | None] = {}

    def document(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value, _ = self._value(next(self._events), 0)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _at(after, "a second document begins: keep one, without `---` behind it")
        return value

    def _value(self, event: Any, depth: int) -> tuple[Any, int]:
        if isinstance(event, yaml.AliasEvent):
            return self._again(event)
        if event.tag is not None:
            raise _at(event, f"the tag {shown(event.tag, 60)} is not taken: write the plain value")
        if depth > DEEPEST:
            raise _at(event, f"more than {DEEPEST} lists and mappings inside one another: expected a few")
        if event.anchor is not None:
            if event.anchor in self._known:
                raise _at(event, f"&{shown(event.anchor, 60)} stands twice: give each its own name")
            self._known[event.anchor] = None  # until it is whole
        if isinstance(event, yaml.ScalarEvent):
            found = (self._scalar(event), 1)
        else:
            found = (self._list if isinstance(event, yaml.SequenceStartEvent) else self._mapping)(depth + 1)
        if event.anchor is not None:
            self._known[event.anchor] = found
        return found

    def _again(self, event: yaml.AliasEvent) -> tuple[Any, int]:
        found = self._known.get(event.anchor)
        if found is None:
            where = "inside of itself" if event.anchor in self._known else "which is not defined above"
            raise _at(event, f"*{shown(event.anchor, 60)} is used {where}")
        self._left -= found[1]
        if self._left < 0:
            raise _at(event, "the aliases multiply to more values than fit in memory: write them out, or use fewer")
        return found

    def _list(self, depth: int) -> tuple[list[Any], int]:
        values, size = [], 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            value, more = self._value(event, depth)
            values.append(value)
            size += more
        return values, size

    def _mapping(self, depth: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        merged: list[Any] = []
        lines: dict[str, int] = {}
        size = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, lines)
            value, more = self._value(next(self._events), depth)
            size += more + 1
            if key is None:
                merged += self._merged(event, value)
            else:
                values[key] = value
        for other in merged:
            values = other | values
        return values, size

    def _key(self, event: Any, lines: dict[str, int]) -> str | None:
        """Return a key that stands for the first time; None for `<<`, which takes another mapping in."""
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent):
            kind = "an alias" if isinstance(event, yaml.AliasEvent) else "a list or mapping"
            raise _at(event, f"{kind} as a key: expected a text")
        text = event.value
        if text in lines:
            raise _at(event, f"key {shown(text, 60)} stands twice, first in line {lines[text]}: remove one")
        lines[text] = line
        if event.implicit[0] and text == "<<":
            return None
        found, _ = self._value(event, 0)
        if not isinstance(found, str):
            raise _at(event, f"key {shown(text, 60)} is no text: put it in quotes")
        return found

    def _merged(self, event: Any, value: Any) -> list[Any]:
        found = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in found):
            raise _at(event, "<< takes in what is no mapping: expected *NAME of one")
        return found

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if not event.implicit[0]:  # in quotes, or a block of text
            return text
        figure = text[:1] in FIGURES and len(text) <= LONGEST
        if self._strict and (text.lower() in UNSURE or (figure and UNSURE_NUMBER.fullmatch(text))):
            raise _at(
                event,
                f"{shown(text, 60)} is not the same to every reader of YAML: put a text in quotes, write a number as "
                "10 or 0.5, and true or false in full",
            )
        if text in WORDS:
            return WORDS[text]
        kinds = NUMBERS.items() if figure else ()
        return next((number(text) for pattern, number in kinds if re.fullmatch(pattern, text)), text)


def _at(event: Any, reason: str) -> Unfit:
    return _unfit(event.start_mark.line + 1, reason)


class _Dumper(yaml.SafeDumper):
    """Quotes what DVC reads as a number, though YAML 1.1 does not."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9._]+([eE][-+]?[0-9_]+)?)$"),
    sorted(FIGURES),
)


def dump(value: Any) -> str:
    """Return YAML that DVC and `parse` read as `value`, in the order of its keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
