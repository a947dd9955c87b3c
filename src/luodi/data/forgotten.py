"""Rows that were forgotten: known again by keyed digests of what they held, or of their id, and by nothing else.

Files `forgotten-*.json` beside the shards say so, and which files held them: none of these comes back by itself.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from luodi.errors import BrokenData
from luodi.files import read_facts, write_facts

ITEM, ID = "item", "id"
DIGITS = 12
PREFIX = "forgotten-"


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten at once.

    Attributes:
        rows: How many.
        salt: Key of the digests, in hexadecimal: who has it can tell whether a text that they know was forgotten.
        digests: Of items and ids, in hexadecimal.
        gone: Files that held them, or told of them: name -> MD5.
        lifted: Digests of what was forgotten before, and was taken in again since by one who asked for it.
    """

    rows: int
    salt: str
    digests: Sequence[str]
    gone: Mapping[str, str]
    lifted: Sequence[str] = ()


@dataclass(frozen=True)
class Known:
    """All that was forgotten of a model, and not taken in again.

    Attributes:
        salt: Of what is to be forgotten next.
        digests: Under this salt, or one of `others`: of checkouts that forgot apart, and came together since.
    """

    salt: str
    digests: frozenset[str]
    others: frozenset[str] = frozenset()

    @classmethod
    def of(cls, found: Sequence[Forgotten]) -> "Known":
        """Unite what was forgotten, in this order, with a salt for what is to be forgotten next."""
        salt, digests = found[0].salt if found else secrets.token_hex(16), set[str]()
        for one in found:
            digests = (digests - {*one.lifted}) | {*one.digests}
        return cls(salt, frozenset(digests), frozenset(one.salt for one in found) - {salt})

    def has(self, item: Any, own: str | None = None) -> bool:
        """Whether rows that hold this, or have this id, were forgotten."""
        return bool(self.named(item, own))

    def named(self, item: Any, own: str | None = None) -> set[str]:
        """Return the digests by which rows that hold this, or have this id, were forgotten."""
        if not self.digests:
            return set()
        asked = [(ITEM, item), *([(ID, own)] if own else [])]
        return {_digest(salt, *one) for salt in (self.salt, *self.others) for one in asked} & self.digests

    def lift(self, digests: Iterable[str]) -> Forgotten:
        """Return what says that these may come again."""
        return Forgotten(0, self.salt, (), {}, sorted(digests))

    def digest(self, kind: str, value: Any) -> str:
        """Return what names an item, text or bytes, or an id."""
        return _digest(self.salt, kind, value)


def _digest(salt: str, kind: str, value: Any) -> str:
    content = value.encode("utf-8", "replace") if isinstance(value, str) else value or b""
    return hashlib.blake2b(content, key=bytes.fromhex(salt), digest_size=16, person=kind.encode()).hexdigest()


def read(folder: Path) -> list[Forgotten]:
    """Return what was forgotten of a model's data, in order of name.

    Raises:
        BrokenData: A file that says so is broken.
    """
    return [read_one(path) for path in sorted(folder.glob(f"{PREFIX}*.json"))]


def known(folder: Path) -> Known:
    """Return all that was forgotten of a model's data."""
    return Known.of(read(folder))


def gone(found: Iterable[Forgotten]) -> set[str]:
    """Return the MD5s of the files that held rows that were forgotten."""
    return {md5 for one in found for md5 in one.gone.values()}


def write(staging: Path, number: int, one: Forgotten) -> Path:
    """Write what was forgotten into `staging`; return the path, whose name it is to have beside the shards."""
    name = hashlib.blake2b("".join(sorted([*one.digests, *one.lifted])).encode(), digest_size=8).hexdigest()[:DIGITS]
    path = staging / f"{PREFIX}{number:05}-{name}.json"
    write_facts(path, {key: value for key, value in asdict(one).items() if value or key != "lifted"})
    return path


def read_one(path: Path) -> Forgotten:
    """Read a file that says what was forgotten, by whatever name."""
    try:
        return Forgotten(**read_facts(path))
    except (ValueError, TypeError):
        raise BrokenData(
            f"{path} does not say what was forgotten: bring it again with `dvc checkout --force data.dvc`; without it "
            "rows that were forgotten could come back"
        ) from None
