"""Render the self-contained HTML pages. Autoescape is on: text from data is data.

A page of a stage is a function of its inputs: whose it is and from when is said where it is delivered, by `headed`.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from luodi.report.document import Section

FEW = 3  # parts that need no contents
OWN = re.compile(r'<div class="verdict \w+">')
ADVICE = re.compile(r'<p class="todo">.*?</p>\n?')
TOP = "</h1>\n"
FIRST = '<h2 id="part-1">'
LIST = '<details class="contents"><summary>On this page</summary>\n<ol>\n'
PART = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)
TABLE = re.compile(r"<table>(.*?)</table>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(t[dh])\b([^>]*)>(.*?)</\1>", re.DOTALL)
MARKUP = re.compile(r"<[^>]*>")
CHINESE = re.compile(r"<(t[dh]|li)\b([^>]*)>(?=[^<]*[\u4e00-\u9fff])(?![^<]*[\u3040-\u30ff])")  # and no kana


@dataclass(frozen=True)
class Identity:
    """What the pages of one run or version have in common.

    Attributes:
        name: Such as "reviews@v1.0.0".
        status: What became of it, in a few words.
        made: When, as it is shown.
        commit: Of git.
        data: Hash of the rows, as DVC has it; empty if nobody knows.
        lang: Language of the pages, "en" or "zh".
        names: Labels and the like, which no language changes.
    """

    name: str
    status: str
    made: str
    commit: str
    data: str = ""
    lang: str = "en"
    names: frozenset[str] = frozenset()


def render(template: str, **context: Any) -> str:
    """Render `report/<template>.html`, contents below its title; an undefined name is an error, values are escaped."""
    html, titles = _parted(_plain(template, **context), "part")
    if len(titles) <= FEW:
        return html
    return html.replace(TOP, TOP + _plain("contents", titles=map(Markup, titles)), 1)  # escaped as they are


def joined(html: str, sections: Sequence[Section], verdict: Mapping[str, str] | None = None) -> str:
    """Return a page with what is known where it is delivered: a verdict below its title, sections above its parts.

    The page's own verdict is plain text then, below that one, which says what to do.
    """
    if verdict:
        html = ADVICE.sub("", OWN.sub("<div>", html, count=1))
        html = html.replace(TOP, TOP + _plain("verdict", verdict=verdict), 1)
    told, titles = _parted(_plain("joined", sections=sections), "joined")
    listed = "".join(f'<li><a href="#joined-{number}">{title}</a></li>\n' for number, title in enumerate(titles, 1))
    return html.replace(FIRST, told + FIRST, 1).replace(LIST, LIST + listed, 1)


def _parted(html: str, name: str) -> tuple[str, list[str]]:
    """Give each part its name and each of its tables that of its part; return the titles too."""
    parts = PART.split(html)  # text, title, text, title, ...
    parts = [CHINESE.sub(r'<\1\2 lang="zh">', part) for part in parts]
    titles, bodies = parts[1::2], [_named(body, f"{name}-{number}") for number, body in enumerate(parts[::2])]
    told = "".join(
        f'<h2 id="{name}-{number}">{title}</h2>{body}'
        for number, (title, body) in enumerate(zip(titles, bodies[1:], strict=True), 1)
    )
    return bodies[0] + told, titles


def _named(body: str, part: str) -> str:
    """Give each table of a part its name, and each cell that of its column: on a phone a row is a list of them."""
    return TABLE.sub(lambda found: _table(found[1], part), body)


def _table(rows: str, part: str) -> str:
    first = ROW.search(rows)
    cells = CELL.findall(first[0]) if first else []
    if not first or any(tag == "td" for tag, _, _ in cells):  # names and values
        return f'<table aria-labelledby="{part}">{rows}</table>'
    names = [" ".join(MARKUP.sub("", content).split()) for _, _, content in cells]
    head = CELL.sub(r'<th scope="col"\2>\3</th>', first[0].replace(' scope="col"', ""))
    body = ROW.sub(lambda row: _row(row[0], names), rows[first.end() :])
    return f'<table class="cards" aria-labelledby="{part}">{rows[: first.start()]}{head}{body}</table>'


def _row(row: str, names: Sequence[str]) -> str:
    column = iter(names)

    def named(cell: re.Match[str]) -> str:
        name = next(column, "")
        return f'<{cell[1]}{cell[2]} data-name="{name}">{cell[3]}</{cell[1]}>' if name else cell[0]

    return CELL.sub(named, row)


def headed(html: str, identity: Identity, pages: Sequence[tuple[str, str]] = (), here: str = "") -> str:
    """Return a page with a head that says whose it is and from when, and leads to the `pages` (address, name) beside.

    `here` is the address of this page. Pages that an older luodi made get the same head, and the language.
    """
    from luodi.report.language import translated  # not what a stage depends on

    head = _plain("head", identity=identity, pages=pages, here=here)
    return translated(html.replace("<main>", f"{head}<main>", 1), identity.lang, identity.names)


def _plain(template: str, **context: Any) -> str:
    return _environment().get_template(f"{template}.html").render(context)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("luodi", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(png: bytes) -> str:
    """Return a PNG file as a URI that holds it, for a page that loads nothing."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def download(sheet: bytes) -> str:
    """Return a CSV file as a URI that holds it."""
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(sheet).decode()}"
