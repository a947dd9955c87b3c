"""Facts in words. One that is missing, or is not what it should be, is "not recorded", never guessed."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard

MISSING = "not recorded"
LARGEST = 1e15
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of what follows them, and halves of characters."""


def at(facts: object, *path: str) -> Any:
    """Return what stands at `path` of nested mappings, None if nothing does."""
    for name in path:
        facts = facts.get(name) if isinstance(facts, Mapping) else None
    return facts


def part(facts: object, *path: str) -> Mapping[str, Any]:
    """Return the mapping at `path`, an empty one if there is none."""
    found = at(facts, *path)
    return found if isinstance(found, Mapping) else {}


def known(value: object) -> TypeGuard[float]:
    """Tell whether `value` is a number that can be shown."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def value(number: object) -> float:
    """Return `number`, 0 if it is none: to sort and to sum by."""
    return number if known(number) else 0


def text(fact: object) -> str:
    """Return a fact as one line; what cannot be seen in it is shown as a replacement character."""
    if isinstance(fact, list | tuple):
        return ", ".join(text(one) for one in fact) or "none"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if fact is None or isinstance(fact, Mapping):
        return MISSING
    return UNSHOWN.sub("\ufffd", " ".join(str(fact).split())) or MISSING


def texts(facts: object, *path: str) -> list[str]:
    """Return the entries of the list at `path`, each as one line."""
    found = at(facts, *path)
    return [text(one) for one in found] if isinstance(found, list | tuple) else []


def moment(fact: object) -> str:
    """Return an ISO time to the minute, in UTC if it has a time zone; anything else, such as a day, as it stands."""
    if not isinstance(fact, str):
        return text(fact)
    try:
        when = datetime.fromisoformat(fact)
    except ValueError:
        return text(fact)
    if len(fact) <= len("2026-01-31"):
        return text(fact)
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when.tzinfo else f"{when:%Y-%m-%d %H:%M}"


def number(fact: object, form: str, scale: float = 1) -> str:
    """Return `scale` times a number, in a format such as "{:.2f} ms"; minus signs are typographic."""
    return form.format(fact * scale).replace("-", "−") if known(fact) else MISSING


def count(fact: object) -> str:
    return number(fact, "{:,}")


def four(fact: object) -> str:
    return number(fact, "{:.4f}")


def points(difference: object) -> str:
    """Return a difference of shares in percentage points, signed."""
    return number(difference, "{:+.2f}", 100)


def percent(share: object) -> str:
    return number(share, "{:.1f}%", 100)


def level(confidence: object) -> str:
    """Return a level of confidence, such as "95%", with two digits of what it lacks where that is little: "99.904%"."""
    lacks = 1 - value(confidence)
    digits = 1 - math.floor(math.log10(100 * lacks)) if 0 < lacks < 1 else 0
    return number(round(100 * confidence, max(2, digits)), "{:.12g}%") if known(confidence) else MISSING


def share(some: object, whole: object) -> str:
    """Return the percentage that `some` is of `whole`, nothing if it has none."""
    return percent(some / whole) if known(some) and known(whole) and whole > 0 else ""


def between(figure: object, form: str, scale: float = 1, word: str = " – ") -> str:
    """Return the ends of a figure's interval, nothing if there is no figure."""
    ends = [at(figure, end) for end in ("low", "high")]
    if all(map(known, ends)):
        return word.join(number(end, form, scale) for end in ends)
    return f"interval {MISSING}" if known(at(figure, "value")) else ""


def chance(probability: object) -> str:
    """Return a probability with its sign of relation, such as "= 0.0213"."""
    if known(probability) and probability < 0.0001:
        return "< 0.0001"
    return f"= {probability:.4f}" if known(probability) else MISSING


def settings(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted name, value) of nested settings."""
    for name, setting in block.items():
        if isinstance(setting, Mapping) and setting:
            yield from settings(setting, f"{prefix}{name}.")
        else:
            yield text(f"{prefix}{name}"), "none" if setting is None else text(setting)


def environment(facts: object) -> dict[str, str]:
    """Return what a version was made with: luodi, Python, libraries; of an older one the hash of its requirements."""
    found = part(facts, "environment")
    libraries = [f"{text(name)} {text(version)}" for name, version in part(found, "libraries").items()]
    if "requirements" in found:
        libraries.append(f"MD5 of requirements.txt {text(found['requirements'])}")
    return {
        "luodi": text(found.get("luodi")),
        "Python": text(found.get("python")),
        "Libraries": ", ".join(libraries) or MISSING,
    }
