"""Which encoding a file of text is in: told by its bytes, or an error that asks for it."""

import codecs
from typing import BinaryIO

from luodi.errors import BrokenData

UTF8 = "utf-8-sig"  # with or without a byte order mark
SAMPLE = 2**20  # bytes read at a time
TELLING = 2**16  # bytes of lines that are not ASCII, looked at
MARKS = {codecs.BOM_UTF8: UTF8, codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
CHINESE = {"gb18030": "gb18030", "big5": "cp950", "big5hkscs": "big5hkscs"}
"""As charset-normalizer names them -> as they are read: Big5 is what Windows takes for it."""
RIVALS = [*CHINESE, "cp949", "cp932", "euc_jis_2004", "cp1252"]
MARGIN = 0.05  # of charset-normalizer's mess, 0 to 1; measured on cuts of 1 to 100 lines: none was taken for another
LIKELY = 0.1  # of its coherence, 0 to 1: letters as frequent as in the language
WESTERN = frozenset("àâäáãåæçèéêëìíîïñòóôöøùúûüÿœßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖØÙÚÛÜŸŒ“”„‘’«»‹›–—…•·€£§©®°¿¡ªº\xa0")
"""Of windows-1252, what the languages write that it is used for; the rest of it tells of another code page."""


def detect(file: BinaryIO, name: str) -> str:
    """Return the codec of a file of text, read from its start: UTF-8, UTF-16 or UTF-32 with a mark, or by its letters.

    Raises:
        BrokenData: It is in another, or in one that its letters leave in doubt.
    """
    first = lines = file.read(SAMPLE)
    if encoding := marked(first):
        return encoding
    if first.count(0) > len(first) / 100:
        raise _asked(name, "holds too many zero bytes for UTF-8", "utf-16-le")
    while lines.isascii():
        lines = file.read(SAMPLE)
        if not lines:
            return UTF8
    telling = _telling(lines)
    broken = [line for line in telling if not is_in(line, "utf-8")]
    if not broken or len(broken) < len(telling) / 2:
        return UTF8
    return _by_letters(b"\n".join(telling), name)


def marked(first: bytes) -> str | None:
    """Return the codec that the byte order mark at the start of a file names; None if there is no mark."""
    return next((encoding for mark, encoding in MARKS.items() if first.startswith(mark)), None)


def is_in(data: bytes, encoding: str) -> bool:
    """Tell whether bytes can be read in an encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def of_one(data: bytes, other: str) -> str:
    """Return the codec of one file of many: that of its byte order mark, UTF-8 if its letters are that, else `other`.

    Without letters beyond ASCII it is in `other`, which may write its own in these bytes, as UTF-16 and ISO-2022 do.
    """
    if encoding := marked(data):
        return encoding
    apart = data.isascii() or "a".encode(other) != b"a"
    return other if apart or not is_in(data, "utf-8") else UTF8


def not_text(name: str, encoding: str) -> BrokenData:
    """The error for a file or stream that is not in `encoding`."""
    return _asked(name, f"is not {'UTF-8' if encoding == UTF8 else encoding}")


def words(encoding: str) -> str:
    """Return the name of an encoding as people write it."""
    usual = {UTF8: "UTF-8", "cp950": "Big5", "cp1252": "Windows-1252"}
    return usual.get(encoding, encoding.upper() if encoding.startswith(("gb", "utf", "big")) else encoding)


def storable(text: str) -> str:
    """JSON can hold halves of characters, which UTF-8 cannot: each becomes U+FFFD, which validation finds."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _asked(name: str, problem: str, example: str = "gb18030") -> BrokenData:
    return BrokenData(f"{name} {problem}: name its encoding, for example --encoding {example}")


def _telling(block: bytes) -> list[bytes]:
    """The whole lines of `block` that are not ASCII, up to `TELLING` bytes."""
    lines = block.splitlines()
    found, size = [], 0
    for line in lines[:-1] if len(lines) > 1 and len(block) == SAMPLE else lines:
        if not line.isascii() and size < TELLING:
            found.append(line)
            size += len(line)
    return found


def _by_letters(data: bytes, name: str) -> str:
    from charset_normalizer import from_bytes

    found = list(from_bytes(data, cp_isolation=RIVALS))
    if found and found[0].encoding in CHINESE:
        best, others = found[0], [one for one in found[1:] if one.encoding not in CHINESE or one.chaos < MARGIN]
        likely = best.coherence > LIKELY and all(one.coherence < best.coherence - LIKELY for one in others)
        if likely or all(one.chaos - best.chaos >= MARGIN for one in found[1:]):
            return CHINESE[best.encoding]
    elif is_in(data, "cp1252") and _western(data.decode("cp1252")):
        return "cp1252"
    guesses = ", ".join(one.encoding for one in found[:3]) or "none that is usual"
    guessed = found or list(from_bytes(data))
    example = guessed[0].encoding if guessed else "gb18030"
    raise _asked(name, f"is not UTF-8, and its letters do not tell what it is ({guesses})", example)


def _western(text: str) -> bool:
    """Whether `text` reads as a western European language: no strange letters, few accents."""
    strange = {char for char in text if char > "\x7f"} - WESTERN
    letters = [char for char in text if char.isalpha()]
    accented = sum(char > "\x7f" for char in letters)
    return not strange and accented <= len(letters) / 3
