"""Write docs/params.md, the page of all settings: `python docs/params.py`."""

import json
from pathlib import Path

from luodi import config
from luodi.config import described

PAGE = Path(__file__).with_suffix(".md")
HEAD = """\
# Settings

A block of `models:` in `params.yaml` needs `modality` and `labels`; every other setting has a default, and the block
names what differs. `luodi params MODEL` prints the settings in effect and where each comes from; `params.lock` holds
them for DVC. This page is made by `python docs/params.py`.

Beside `models:` may stand what holds of all of them:

"""


def page() -> str:
    """Return the page: a table a modality."""
    return (
        HEAD
        + _table(config.Params, but="models")
        + "".join(f"\n## {name.capitalize()} models\n\n{_table(kind)}" for name, kind in config.MODALITIES.items())
    )


def _table(kind: type[config.ModelSettings | config.Params], but: str = "") -> str:
    found = [one for one in described.fields(kind) if one.name != but]
    rows = [(f"`{one.name}`", _default(one), one.description) for one in found]
    lines = [("setting", "default", "what it is"), ("---", "---", "---"), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _default(field: described.Field) -> str:
    return "required" if field.required else f"`{json.dumps(field.default, ensure_ascii=False)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
