"""An explanation as pages show it: pieces of a text, or regions over an image, by what they add to an answer."""

from collections.abc import Mapping
from typing import Any

from luodi.report import page as pages

LONGEST = 300  # characters of a text
NAMED = 5  # parts that are named in words, for and against
FAINT = 8  # of 100: what adds less than that share of the strongest has no colour


def shown(found: Mapping[str, Any], whole: str) -> dict[str, Any]:
    """Return what `why.html` writes.

    Args:
        found: As `luodi.scoring.explaining.Explanation.as_json` gives it.
        whole: The clean text; of an image the URI of its picture.
    """
    parts = found["parts"]
    most = max((abs(one["adds"]) for one in parts), default=0.0) or 1.0
    marked = [{**one, "strength": _strength(one["adds"], most)} for one in parts]
    view = {name: found[name] for name in ("label", "probability")}
    if "width" in found:
        view |= {"image": whole, "width": found["width"], "height": found["height"], "pieces": [], "cells": marked}
    else:
        view |= {"pieces": _pieces(marked, whole), "cut": len(whole) > LONGEST}
    names = [(one["adds"], name) for one, name in zip(parts, _names(parts), strict=True)]
    order = sorted(names, key=lambda one: -abs(one[0]))
    for name, sign in (("speak_for", 1), ("speak_against", -1)):
        told = [f"{text} {adds:+.2f}".replace("-", "−") for adds, text in order if adds * sign >= FAINT * most / 100]
        view[name] = told[:NAMED]
    return view


def page(found: Mapping[str, Any], whole: str, version: str) -> str:
    """Return a page of an explanation; arguments as of `shown`."""
    view = shown(found, whole)
    parts = sorted(zip(found["parts"], _names(found["parts"]), strict=True), key=lambda one: -abs(one[0]["adds"]))
    rows = [{"name": name, "adds": part["adds"]} for part, name in parts]
    return pages.render("explanation", version=version, why=view, parts=rows)


def _names(parts: list[Any]) -> list[str]:
    """What each part is called: its text, or where it stands."""
    return [
        one["text"] if "start" in one else f"row {_place(one, 'top', parts)}, column {_place(one, 'left', parts)}"
        for one in parts
    ]


def _strength(adds: float, most: float) -> int:
    share = round(100 * abs(adds) / most)
    return share if share >= FAINT else 0


def _place(one: Mapping[str, Any], side: str, parts: list[Any]) -> int:
    """Which of the regions along a side it is, from 1."""
    return sorted({other[side] for other in parts}).index(one[side]) + 1


def _pieces(parts: list[dict[str, Any]], whole: str) -> list[dict[str, Any]]:
    """All of a text up to `LONGEST` characters: its parts, and what stands between them."""
    found, at = [], 0
    for one in parts:
        start, end = one["start"], one["end"]
        if end > LONGEST:
            break
        found.append({"text": whole[at:start], "adds": 0.0, "strength": 0})
        found.append({"text": whole[start:end], "adds": one["adds"], "strength": one["strength"]})
        at = end
    return [one for one in [*found, {"text": whole[at:LONGEST], "adds": 0.0, "strength": 0}] if one["text"]]
