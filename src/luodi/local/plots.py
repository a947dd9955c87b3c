"""DVC's plots of a model as SVG: DVC's own page is scripts from a public server."""

import base64
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luodi.errors import ArtifactError, GitError, LuodiError, ParamsError, StaleProject
from luodi.files import write_text
from luodi.project import graph, programs
from luodi.report import page
from luodi.report.language import translated
from luodi.system.processes import CommandFailed, Runner
from luodi.terminal import shown

UNKNOWN = re.compile(r"unknown Git revision '(.*)'")


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        page: All plots in one file that loads nothing; each is an SVG beside it.
        titles: Those of the plots, as dvc.yaml has them.
        missing: What is not in them, a line each.
    """

    page: Path
    titles: Sequence[str]
    missing: Sequence[str]


def draw(  # noqa: PLR0917, each is another thing
    root: Path, model: str, revisions: Sequence[str], folder: Path, runner: Runner, lang: str = "en"
) -> Drawn:
    """Draw the plots that dvc.yaml has of a model, into `folder`.

    Args:
        revisions: Of git, as `dvc plots diff` takes them: one is drawn beside the checkout, none is the checkout alone.

    Raises:
        StaleProject: dvc.yaml has no plot of this model alone.
        ArtifactError: Nothing that they show is there.
        LuodiError: vl-convert-python is not installed, a template is not Vega-Lite, or git lacks a revision.
    """
    if importlib.util.find_spec("vl_convert") is None:
        raise LuodiError(
            "luodi plots needs vl-convert-python, which the extra `plots` brings: pip install 'luodi[plots]'"
        )
    if not (titles := graph.plots(root / "dvc.yaml", model)):
        raise StaleProject(
            f"dvc.yaml has no plot of {shown(model)} alone: run `luodi upgrade`, which gives each model its own"
        )
    asked = ("diff", *revisions, "--json", "--targets", *titles) if revisions else ("show", "--json", *titles)
    try:
        found = json.loads(programs.dvc(runner, root, "plots", *asked))
    except CommandFailed as error:
        if not (unknown := UNKNOWN.search(error.output)):
            raise
        raise GitError(
            f"neither git nor DVC knows {shown(unknown[1])} here: expected a commit, a branch, a tag or an experiment; "
            f"`luodi sync {model}` brings the tags of its versions"
        ) from None
    plots = [(title, one) for title, drawn in found["data"].items() for one in drawn]
    if not plots:
        raise ArtifactError(
            f"nothing is there that the plots of {model} show: `luodi sync {model}` brings what is in production, "
            f"`dvc repro evaluate@{model}` makes it anew"
        )
    pictures = {title: _svg(title, one["content"]) for title, one in plots}
    folder.mkdir(parents=True, exist_ok=True)
    for title, svg in pictures.items():
        write_text(folder / f"{_slug(title)}.svg", svg)
    compared = list(dict.fromkeys(revision for _, one in plots for revision in one["revisions"]))
    write_text(folder / "index.html", translated(_page(model, compared, pictures), lang))
    lacking = {f"{one['rev']} has no {one['source']}" for one in found.get("errors", ()) if "source" in one}
    absent = [f"{one} has none of them: its dvc.yaml has other plots" for one in revisions if one not in compared]
    return Drawn(folder / "index.html", list(pictures), absent or sorted(lacking))


def _svg(title: str, chart: dict[str, Any]) -> str:
    import vl_convert

    try:
        return str(vl_convert.vegalite_to_svg(chart, allowed_base_urls=[]))
    except ValueError as error:
        raise ParamsError(
            f"the plot {shown(title)} of dvc.yaml cannot be drawn: expected a template of Vega-Lite whose data are in "
            f"it, found {shown(str(error), 200)}; correct its `template`"
        ) from None


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title).strip("-").lower()


def _page(model: str, compared: Sequence[str], pictures: dict[str, str]) -> str:
    """The page: a picture is an image of its own, for what its parts are named would clash with those of another."""
    images = {title: f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
              for title, svg in pictures.items()}  # fmt: skip
    return page.render("plots", name=model, compared=compared, images=images)
