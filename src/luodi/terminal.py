"""What people read at a terminal or in a log: characters that act, or that nobody sees, are written as escapes.

A value (a label, a file name, a comment) may hold anything. `shown` makes of it what can stand in a message: one line
of bounded length. A `Screen` lies under all that is printed and lets nothing else through but line breaks.
"""

import json
import re
import sys
from typing import Any, TextIO, cast

# Controls, formats, halves of characters, separators of lines, blanks that are no spaces: Unicode's Cc, Cf, Cs, Zl, Zp,
# what it keeps free for more of them, and a few fillers.
ACTING = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    r"\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    r"\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
# Emoji are joined by U+200D; the flags of England, Scotland and Wales are spelled in letters that nobody sees.
PICTURES = r"[\u2190-\u2bff\U0001f000-\U0001faff]"
JOINED = rf"(?:(?<={PICTURES})|(?<=\ufe0f))\u200d(?={PICTURES})"
FLAG = r"\U0001f3f4[\U000e0061-\U000e007a]{2,6}\U000e007f"
FOUND = re.compile(rf"({JOINED}|{FLAG})|[{ACTING}]")

WIDTH = 200  # characters of a value


def visible(text: str, keep: str = "") -> str:
    """Return `text` with every character that acts, or that nobody sees, as an escape such as \\x1b; `keep` stays."""
    return FOUND.sub(lambda match: match[1] or (match[0] if match[0] in keep else _escape(match[0])), text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def shown(value: object, width: int = WIDTH) -> str:
    """Return `value` as one visible line; of more than `width` characters the middle is left out, and counted."""
    text = str(value)
    if len(text) > width:
        tail = width // 3
        text = f"{text[: width - tail]}… ({len(text) - width:,} more characters) …{text[len(text) - tail :]}"
    return visible(text)


def json_line(value: Any) -> str:
    """Return `value` as JSON on one line, what `visible` escapes written as JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return FOUND.sub(lambda match: match[1] or json.dumps(match[0])[1:-1], text)


class Screen:
    """A stream for people, over `bare`: whatever is written to it, what comes out is visible text, lines and tabs."""

    def __init__(self, bare: TextIO) -> None:
        self.bare = bare

    def write(self, text: str) -> int:
        self.bare.write(visible(text, keep="\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "detach"):  # ways around
            raise AttributeError(name)
        return getattr(self.bare, name)


def screen(stream: TextIO) -> TextIO:
    """Return `stream` under a Screen."""
    return stream if isinstance(stream, Screen) else cast(TextIO, Screen(stream))


def bare(stream: TextIO) -> TextIO:
    """Return what lies under a Screen, for luodi's own colours and moves of the cursor; values go through `shown`."""
    return stream.bare if isinstance(stream, Screen) else stream


def cover() -> None:
    """Put standard output and standard error under Screens; what their encoding lacks becomes an escape."""
    for stream in (sys.stdout, sys.stderr):  # a locale without Chinese, say, must not end a command halfway
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = screen(sys.stdout), screen(sys.stderr)
