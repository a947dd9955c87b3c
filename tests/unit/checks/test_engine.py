"""Great Expectations' Data Docs: what labels, texts, sources and file names say is text there, and nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import images
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luodi import config
from luodi.errors import ValidationFailed
from luodi.project.paths import ModelPaths
from luodi.stages import validate

PARAMS = config.load(Path(__file__).parents[3] / "params.yaml")
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<svg/onload=alert(3)>",
    '" onmouseover="alert(4)',
    "' autofocus onfocus='alert(5)",
    "[a](javascript:alert(6)) ![b](x) `c` **d**",
    "<a href=javascript:alert(7)>e</a>",
    "{{ 7*7 }}{% for x in y %} ${column} $value_set $$z",
    "--></style></script></textarea>]]><![CDATA[<b>",
    r"\x3cscript\x3e &lt;script&gt; &amp; \\",
    "<base href=//example.org/><meta http-equiv=refresh content=0>",
)
LOCAL = {"default-src", "'none'", "style-src", "'unsafe-inline'", "font-src", "img-src", "'self'", "data:"}
PLAIN = tuple(f"label {place}" for place in range(len(HOSTILE)))


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, what is no text, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.code: list[str] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        (self.code if self.cdata_elem else self.texts).append(data)

    def handle_comment(self, data: str) -> None:
        self.code.append(data)

    unknown_decl = handle_pi = handle_comment

    def handle_decl(self, decl: str) -> None:
        self.code.append(decl)


def pages(root: Path, name: str, labels: tuple[str, ...]) -> dict[str, Page]:
    """Validate rows whose labels, sources, texts and file name say `labels`; return the pages that are made of them."""
    block, paths = PARAMS.models[name], ModelPaths(root, name)
    few = block.validate_.model_copy(update={"min_rows": 2})
    paths.data.mkdir(parents=True)
    rows = range(3 * len(labels))
    said = [labels[row % len(labels)] for row in rows]
    items = [images.png(row) if block.modality == "image" else f"好{said[row]}{row}" for row in rows]
    given = [f"{said[row]}?" if row % 4 else said[row] for row in rows]  # most of them unknown
    table = pa.table({block.modality: items, "label": given, "source": said[::-1]})
    pq.write_table(table, paths.data / f"{labels[1]}.parquet".replace("/", "-"))
    with pytest.raises(ValidationFailed):
        validate.run(block.model_copy(update={"labels": labels, "validate_": few}), paths)
    return {str(path.relative_to(paths.data_docs)): Page(path) for path in paths.data_docs.rglob("*.html")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reviews", "digits"])
def test_what_the_data_say_is_text_and_nothing_else(name: str, tmp_path: Path) -> None:
    plain, hostile = (pages(tmp_path / str(place), name, labels) for place, labels in enumerate((PLAIN, HOSTILE)))
    assert len(hostile) == 3
    for page in hostile.values():  # before anything that could be loaded; a policy that names no host
        head = [tag for tag, _ in page.elements].index("head")
        tag, policy = page.elements[head + 1]
        assert (tag, policy[0]) == ("meta", ("http-equiv", "Content-Security-Policy"))
        assert set(re.split("[ ;]+", policy[1][1] or "")) <= LOCAL
    assert hostile.keys() == plain.keys()
    for where, page in hostile.items():
        assert (page.elements, page.code) == (plain[where].elements, plain[where].code), where
    for page in (page for where, page in hostile.items() if where != "index.html"):
        assert f"every label is one of {', '.join(HOSTILE)}" in page.text
        assert all(page.text.count(label) > 1 for label in HOSTILE)
