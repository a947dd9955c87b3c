"""Render Markdown. Text from data is data: it is escaped where it is put in, as autoescape does for HTML."""

import html
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

INLINE = re.compile(r"([\\`*_\[\]|~$])")
START = re.compile(r"^(\d*)(?=[#+-]+(\s|$)|[-=]+$|(?<=\d)[.)](\s|$))")  # of a line: a heading, list, rule or underline


def inert(value: object) -> Markup:
    """Return `value` as one line of Markdown that renders as its own text; markup, such as a macro's, stays as it is.

    HTML is written as entities, which every reader of Markdown knows, the rest with backslashes (CommonMark 2.4).
    """
    if isinstance(value, Markup):
        return value
    text = html.escape(INLINE.sub(r"\\\1", " ".join(str(value).split())), quote=False)
    return Markup(START.sub(r"\1\\", text))  # noqa: S704, escaped above


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("luodi", "report"),
        autoescape=True,  # macros return Markup, so that what they wrote is not escaped twice
        finalize=inert,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **context: Any) -> str:
    """Render `report/<template>.md`; an undefined name is an error, every value is made inert."""
    text = _environment().get_template(f"{template}.md").render(context)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
