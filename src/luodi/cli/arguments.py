"""Arguments that several commands take, and the one grammar of what names a version: MODEL[@VERSION]."""

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from luodi.errors import MissingColumn
from luodi.system import progress
from luodi.terminal import shown


class Reference(NamedTuple):
    """What a person typed as MODEL[@VERSION].

    Attributes:
        model: A name, whether or not there is such a model.
        number: Such as "v1.0.0", or "production"; None where MODEL stands alone.
    """

    model: str
    number: str | None

    def __str__(self) -> str:
        return self.model if self.number is None else f"{self.model}@{self.number}"


def reference(text: str) -> Reference:
    """Parse MODEL, MODEL@v1.2.3, MODEL@production or MODEL@canary.

    Raises:
        typer.BadParameter: It is none of them.
    """
    from luodi.registry.tag_objects import NUMBER
    from luodi.registry.tags import CANARY, PRODUCTION

    model, at, number = text.partition("@")
    if model and (not at or number in (PRODUCTION, CANARY) or NUMBER.fullmatch(number)):
        return Reference(model, number if at else None)
    meant = f"; did you mean {shown(model)}@v{number}?" if model and NUMBER.fullmatch(f"v{number}") else ""
    found = shown(text) or "nothing"
    raise typer.BadParameter(
        f"expected MODEL, MODEL@v1.2.3, MODEL@{PRODUCTION} or MODEL@{CANARY}, found {found}{meant}"
    )


def language(root: Path, asked: str | None) -> str:
    """Return the language of pages: as asked, else that of params.yaml, else English."""
    from luodi import config
    from luodi.errors import ParamsError
    from luodi.project.paths import PARAMS

    if asked:
        return asked
    try:
        return config.load(root / PARAMS).language
    except ParamsError:  # what is wrong there keeps nobody from a page of a version
        return "en"


def share(text: str) -> float:
    """Parse a share of requests, 5% or 0.05; raises typer.BadParameter."""
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = -1.0
    if not 0 < found < 1:
        raise typer.BadParameter(f"expected a share such as 5% or 0.05, found {shown(text)}")
    return found


def _with_version(text: str) -> Reference:
    if (found := reference(text)).number is None:
        raise typer.BadParameter(f"name a version, such as {shown(text)}@v1.0.0: `luodi models` lists them")
    return found


def _alone(text: str) -> str:
    if "@" in text:
        model = text.partition("@")[0]
        raise typer.BadParameter(f"expected a model alone, such as {shown(model) or 'reviews'}, found {shown(text)}")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise typer.BadParameter(f"expected a regular expression, found {shown(text)}: {error}") from None
    return text


def silence(as_json: bool) -> bool:
    if as_json:
        progress.silence(True)
    return as_json


ReferenceArgument = Annotated[
    Reference,
    typer.Argument(
        metavar="MODEL[@VERSION]",
        parser=reference,
        help="A version, such as reviews@v1.0.0; MODEL alone is that in production.",
    ),
]
VersionArgument = Annotated[
    Reference,
    typer.Argument(metavar="MODEL@VERSION", parser=_with_version, help="A version, such as reviews@v1.1.0."),
]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", parser=_alone, help="A key of `models:` in params.yaml.")
]
LangOption = Annotated[
    Literal["en", "zh"] | None,
    typer.Option("--lang", help="Language of the pages; that of params.yaml if left out.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", callback=silence, help="Print one JSON document, and no progress.")]


def by_option(given: Reference, option: str, value: str | None, command: str) -> Reference:
    """Return the version that a deprecated option names, and warn with what to write; without the option `given`.

    Raises:
        typer.BadParameter: The option names no version, or `given` names one too.
    """
    if value is None:
        return given
    if given.number:
        raise typer.BadParameter(f"the version is named already, by {shown(given)}: leave {option} out")
    found = reference(f"{given.model}@{value.removeprefix(f'{given.model}@')}")
    print(f"warning: {option} is deprecated: write `luodi {command} {shown(found)}`", file=sys.stderr)
    return found


def known_model(root: Path, name: str) -> None:
    """Raise UnknownKey, with the near name, if params.yaml has no such model."""
    from luodi import config
    from luodi.project.paths import PARAMS

    config.settings_of(config.load(root / PARAMS), name)


@contextmanager
def typed() -> Iterator[None]:
    """To an error that knows which columns may be meant add the command that names them, as it is typed."""
    try:
        yield
    except MissingColumn as error:
        if not error.options:
            raise
        raise MissingColumn(*error.args, f"  {shlex.join(['luodi', *sys.argv[1:]])} {error.options}") from None


def written(texts: list[str] | str | None) -> list[str] | str | None:
    """Refuse a text of other bytes than UTF-8: a shell hands over what it is given, and it would be read as nothing."""
    try:
        "".join(texts or "").encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(
            "expected UTF-8, found other bytes: convert them first, for example by `iconv -f GB18030 -t UTF-8`"
        ) from None
    return texts


def _codec(name: str | None) -> str | None:
    try:
        "".encode(name or "utf-8")
    except LookupError as error:
        raise typer.BadParameter(str(error)) from None
    return name


def _one_character(text: str | None) -> str | None:
    text = {"\\t": "\t", "tab": "\t"}.get(text or "", text)
    if text is not None and (len(text) != 1 or text in '"\r\n'):
        raise typer.BadParameter("expected one character, such as ';', or tab")
    return text


# How a table is read, for every command that reads one.
LabelColumn = Annotated[str | None, typer.Option(help="Column of the labels; guessed by its name.")]
LabelMap = Annotated[
    str | None, typer.Option(metavar="JSON", help="""Labels by other names: '{"0": "negative", "NA": null}'.""")
]
GroupPattern = Annotated[
    str,
    typer.Option(
        metavar="REGEX",
        parser=_pattern,
        help="Of files: what of a path, from its class on, names the group, such as 'patient([0-9]+)_'; those of one "
        "never stand in two splits.",
    ),
]
IdColumn = Annotated[
    str | None, typer.Option(help="Column of what names a row for good: of one id the last row counts.")
]
RevisionColumn = Annotated[str | None, typer.Option(help="Column of a number or moment: of one id the latest counts.")]
SplitColumn = Annotated[
    str | None, typer.Option(help="Column that says train, val or test; one called split is taken.")
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", help="Column of the texts, in JSON also data.text; guessed by its name.")
]
ImageColumn = Annotated[
    str | None, typer.Option("--image-column", help="Column of the paths of images; guessed by its name.")
]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Folder or archive that the paths in a table start from.")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", callback=_codec, help="Of the text, such as gb18030; told by its bytes.")
]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", callback=_one_character, help="Between columns; told by the rows.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first row is one as the others; columns are 1, 2 …")]
Sheet = Annotated[str | None, typer.Option("--sheet", help="Of a workbook with several.")]
