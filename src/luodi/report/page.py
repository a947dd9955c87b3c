"""Render the self-contained HTML pages. Autoescape is on: text from data is data."""

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **context: Any) -> str:
    """Render `report/<template>.html`; an undefined name is an error, every value is escaped."""
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
