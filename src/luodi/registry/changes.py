"""What differs between a challenger and the version in production: data, settings, rules of the gate, code, libraries.

A rule that asks less than it did is told apart: a model may land by it that is no better.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from luodi.project import locks
from luodi.registry.records import Change
from luodi.registry.tags import flat
from luodi.report.formatting import at, count, known, part

ASK = {
    "gate.margin": 1, "gate.confidence": 1, "gate.minimum": 1, "gate.min_class_rows": 1, "gate.min_slice_rows": -1,
    "gate.baseline_margin": -1, "gate.max_slice_loss": -1, "gate.max_latency_ms": -1, "gate.max_size_mb": -1,
    "gate.max_calibration_error": -1, "gate.false_landings.rate": -1,
}  # fmt: skip
"""1 where a higher value asks more of a challenger, -1 where a lower one does."""

STRICTEST_FIRST: dict[str, tuple[str, ...]] = {
    "gate.false_landings.per": ("year", "month", "look"),
    "register.approval": ("human", "auto"),
}


def since(
    before: Mapping[str, Any], entries: locks.Entries, settings: Mapping[str, Any], ours: locks.Entries, data: Any
) -> tuple[Change, ...]:
    """Return all that differs, in the order of what people look for.

    Args:
        before: Facts in the tag of the version in production.
        entries: Lock entries of that version.
        settings: Those in effect of the challenger, as JSON.
        ours: Lock entries of the challenger.
        data: What validation counted of the challenger's rows; None if that is not known.
    """
    return (
        *_rows(part(before, "data"), ours, data),
        *_settings(part(before, "params"), settings),
        *_code(entries, ours),
        *_libraries(entries, ours),
    )


def _rows(before: Mapping[str, Any], ours: locks.Entries, data: Any) -> Iterator[Change]:
    hashes = [dep["md5"] for name, entry in ours.items() if name.startswith("validate@")
              for dep in entry["deps"] if dep["path"].startswith("data/")]  # fmt: skip
    if at(before, "hash") in (None, *hashes):
        return
    counts = [(name, at(before, name), at(data, name)) for name in ("rows", "clean")]
    told = [f"{name} {count(old)} -> {count(new)}" for name, old, new in counts if known(old) and known(new)]
    yield from (Change(of="data", said=one) for one in told or ["other files"])


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """The rules of the gate first."""
    old, new = flat(before), flat(after)
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)} if before else set()
    names = {name for name in names if not name.startswith("card.")}  # words, by which nothing is judged
    for name in sorted(names, key=lambda name: (not _rule(name), name)):
        said = f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
        asks_less = _asks_less(name, _at(before, name), _at(after, name))
        yield Change(of="rule" if _rule(name) else "setting", said=said, asks_less=asks_less)


def _rule(name: str) -> bool:
    return name.startswith(("gate.", "register."))


def _at(settings: Mapping[str, Any], name: str) -> Any:
    return at(settings, *name.split("."))


def _asks_less(name: str, old: Any, new: Any) -> bool:
    """Whether a challenger has to show less now; a rule that was not there asked for nothing."""
    if name == "gate.unproven":
        return bool(set(new or ()) - set(old or ()))
    if name in STRICTEST_FIRST:
        order = STRICTEST_FIRST[name]
        return old in order and new in order and order.index(new) > order.index(old)
    return known(old) and known(new) and (new - old) * ASK.get(name, 0) < 0


def _code(before: locks.Entries, after: locks.Entries) -> Iterator[Change]:
    stages = [name for name in after if name in before and _digest(before, name) != _digest(after, name)]
    if stages:
        yield Change(of="code", said=f"luodi's code of {', '.join(name.partition('@')[0] for name in stages)}")


def _digest(entries: locks.Entries, stage: str) -> list[Any]:
    return [found.get("code") if isinstance(found, dict) else found for found in locks.code(entries, stage).values()]


def _libraries(before: locks.Entries, after: locks.Entries) -> Iterator[Change]:
    old, new = (
        {name: version for stage in entries for name, version in locks.libraries(entries, stage).items()}
        for entries in (before, after)
    )
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield Change(of="library", said=f"{name} {old[name]} -> {new[name]}")
