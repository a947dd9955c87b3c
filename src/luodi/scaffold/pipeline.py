"""dvc.yaml: luodi's stages in a project's graph, each model in artifacts and plots; what else stands there stays."""

import io
from collections.abc import Collection, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from luodi import config, yaml12
from luodi.errors import ParamsError, StaleProject
from luodi.terminal import shown

TEMPLATES = files("luodi.scaffold") / "templates"
PLACEHOLDER = "MODEL"
SETTINGS = "settings"
BEST = "artifacts/${key}/tune/best_params.yaml"
TRAINED = "artifacts/${key}/train/export"
COMPRESSED = "artifacts/${key}/compress/export"
CANDIDATES = "artifacts/${key}/compress/candidates.json"
OPTIONAL = {"tune": "preprocess", "compress": "evaluate"}
"""Stages that are there where a block of that name is, each before which other."""
OF_OPTIONAL = {BEST, TRAINED, COMPRESSED, CANDIDATES}
"""What stages read that another may have read without one of these."""
LOCKS = {"luodi.lock", "params.lock"}
GONE = {"artifacts/${key}/train/model.keras", "artifacts/${key}/preprocess/arrays"}
"""Outputs of luodi's stages that are no more, and dependencies on them."""
OLDER_HEAD = """\
# The graph, once for every model in params.yaml. Each stage's deps name the package files it imports, so that
# a change of code re-runs what it may change and nothing else; tests/test_architecture.py holds them complete.
"""
"""What dvc.yaml began with where it named luodi's files."""


def round_trip() -> YAML:
    """Return a reader and writer of YAML that keeps comments, quotes and order."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**16  # no line is broken
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def load(text: str, name: str) -> Any:
    """Return a mapping of YAML with its comments.

    Raises:
        ParamsError: It is no mapping, or not YAML.
    """
    try:
        found = round_trip().load(text)
    except YAMLError as error:
        raise ParamsError(f"{name} is not YAML ({shown(str(error), 200)}): mend it") from None
    if not isinstance(found, dict):
        raise ParamsError(f"{name}: expected a mapping, found none; restore it with `git checkout HEAD -- {name}`")
    return found


def dump(document: Any) -> str:
    """Return the text of what `load` gave."""
    out = io.StringIO()
    round_trip().dump(document, out)
    return out.getvalue()


def read(root: Path) -> str:
    """Return the text of a project's dvc.yaml.

    Raises:
        ParamsError: It cannot be read.
    """
    try:
        return yaml12.committed(root / "dvc.yaml")
    except yaml12.Unfit as error:
        raise ParamsError(f"{root / 'dvc.yaml'} {error}") from None


def template() -> str:
    """Return the dvc.yaml of a project without a model."""
    return (TEMPLATES / "pipeline.yaml").read_text(encoding="utf-8")


def asked(models: Iterable[config.ModelSettings]) -> list[str]:
    """Return the optional stages that any of the models asks for by a block of that name."""
    blocks = list(models)
    return [stage for stage in OPTIONAL if any(getattr(block, stage) for block in blocks)]


def updated(text: str, models: Iterable[str], code: Iterable[str] = (), asked: Collection[str] = ()) -> str:
    """Return a project's dvc.yaml with luodi's stages as this luodi has them, and artifacts and plots of `models`.

    Args:
        code: Files of the user's own that settings name: the stage `settings` depends on them.
        asked: Optional stages that are to be there.

    Raises:
        ParamsError: It is no graph.
    """
    head = template().partition("stages:")[0]
    document, fresh = load(text.replace(OLDER_HEAD, head), "dvc.yaml"), load(template(), "dvc.yaml")
    for stage in OPTIONAL:
        if stage in asked:
            _add_optional(fresh["stages"], stage)
        elif stage in (document.get("stages") or ()):
            del document["stages"][stage]
    stages = document.setdefault("stages", fresh["stages"])
    if not isinstance(stages, CommentedMap):
        raise ParamsError("dvc.yaml: expected a mapping `stages:`; restore it with `git checkout HEAD -- dvc.yaml`")
    for place, (name, body) in enumerate(fresh["stages"].items()):
        if name in stages and not isinstance(stages[name], CommentedMap):
            raise ParamsError(f"dvc.yaml: stages.{name} is no mapping: restore it with `git checkout HEAD -- dvc.yaml`")
        if name in stages:
            _update(stages[name].get("do", stages[name]), body.get("do", body))
        else:
            stages.insert(place, name, body)
    deps = stages[SETTINGS]["deps"]
    deps += [file for file in code if file not in deps]
    names = list(models)
    _add_artifacts(document, names, "compress" if "compress" in asked else "train")
    _add_plots(document, names)
    return dump(document)


def without_lost(text: str, root: Path) -> str:
    """Return a dvc.yaml, as `updated` gives it, whose stage `settings` depends on files that are there.

    Code of a user's own may be moved or removed, and DVC runs no stage that depends on what is away.
    """
    document = load(text, "dvc.yaml")
    deps = document["stages"][SETTINGS]["deps"]
    for place in reversed(range(len(deps))):  # in place: comments stand by the others
        if not (root / str(deps[place])).exists():
            del deps[place]
    return dump(document)


def _add_optional(stages: Any, stage: str) -> None:
    """Let a search decide preprocess and train, and evaluate judge what compress took."""
    extra = load((TEMPLATES / f"{stage}.yaml").read_text(encoding="utf-8"), f"{stage}.yaml")
    stages.insert(list(stages).index(OPTIONAL[stage]), stage, extra[stage])
    if stage == "tune":
        for name in ("preprocess", "train"):
            stages[name]["do"]["deps"].append(BEST)
    else:
        deps = stages["evaluate"]["do"]["deps"]
        deps[deps.index(TRAINED)] = COMPRESSED
        deps.append(CANDIDATES)
        if "tune" in stages:
            stages[stage]["do"]["deps"].append(BEST)


def require_code(text: str, code: Iterable[str], asked: Iterable[str] = ()) -> None:
    """Raise StaleProject unless the stage `settings` depends on `code`, a change of which would go unnoticed.

    And unless the optional stages are there that are asked for.
    """
    stages = load(text, "dvc.yaml").get("stages") or {}
    if missing := [stage for stage in asked if stage not in stages]:
        raise StaleProject(
            f"a model of params.yaml has a block {missing[0]}, and dvc.yaml has no such stage: run `luodi upgrade`, "
            "which writes it there"
        )
    deps = (stages.get(SETTINGS) or {}).get("deps") or ()
    if missing := [file for file in code if file not in deps]:
        raise StaleProject(
            f"params.yaml names what is in {', '.join(missing)}, on which the stage {SETTINGS} of dvc.yaml does not "
            "depend: run `luodi upgrade`, which writes it there"
        )


def without(text: str, model: str) -> str:
    """Return a project's dvc.yaml without the artifact of `model` and what its plots show of it.

    Raises:
        ParamsError: It is no graph.
    """
    document, begins = load(text, "dvc.yaml"), _outputs(model)
    if isinstance(artifacts := document.get("artifacts"), dict) and artifacts.pop(model, None) and not artifacts:
        del document["artifacts"]
    plots = document.get("plots") or []
    gone = [place for place, item in enumerate(plots) if _title(item).startswith(begins)]
    for place, item in enumerate(plots):
        for curves in _curves(item):
            lost = [path for path in curves if path.startswith(begins)]
            for path in lost:
                del curves[path]
            if lost and not curves:
                gone.append(place)
    for place in sorted(set(gone), reverse=True):
        del plots[place]
    if gone and not plots:
        del document["plots"]
    return dump(document)


def renamed(text: str, old: str, new: str) -> str:
    """Return a project's dvc.yaml with `new` for `old` in artifacts and plots.

    Raises:
        ParamsError: It is no graph.
    """
    document, before, after = load(text, "dvc.yaml"), _outputs(old), _outputs(new)
    if isinstance(artifacts := document.get("artifacts"), dict) and old in artifacts:
        _rename_key(artifacts, old, new)
        if isinstance(artifacts[new], dict) and str(artifacts[new].get("path")).startswith(before):
            artifacts[new]["path"] = after + artifacts[new]["path"].removeprefix(before)
    plots = document.get("plots") or []
    titles = dict(zip(map(_title, _own_plots(old)), map(_title, _own_plots(new)), strict=True))
    for place, item in enumerate(plots):
        if isinstance(item, str):
            plots[place] = item.replace(before, after) if item.startswith(before) else item
            continue
        if (title := _title(item)) in titles:
            _rename_key(item, title, titles[title])
        for mapping in (item, *_curves(item)):
            for key in [key for key in mapping if key.startswith(before)]:
                _rename_key(mapping, key, after + key.removeprefix(before))
    return dump(document)


def _rename_key(mapping: Any, old: str, new: str) -> None:
    """Give a key another name, where it stands and with its comment."""
    number, comment = list(mapping).index(old), mapping.ca.items.get(old)
    mapping.insert(number, new, mapping.pop(old))
    if comment:
        mapping.ca.items[new] = comment


def _outputs(model: str) -> str:
    return f"artifacts/{model}/"


def _title(item: Any) -> str:
    """The title of a plot, or the path that stands for it."""
    return str(next(iter(item), "")) if isinstance(item, dict) else str(item)


def _curves(item: Any) -> list[Any]:
    """What a plot shows: mappings from a path to its columns."""
    bodies = item.values() if isinstance(item, dict) else ()
    return [body["y"] for body in bodies if isinstance(body, dict) and isinstance(body.get("y"), dict)]


def _update(stage: Any, fresh: Any) -> None:
    """Bring one stage of a project to what luodi has; a user's own dependencies and outputs stay."""
    stage["cmd"] = fresh["cmd"]
    for key in ("deps", "params", "outs", "metrics"):
        if key in fresh or key in stage:
            _update_items(stage.setdefault(key, CommentedSeq()), key, fresh)
        if key not in fresh and stage.get(key) == []:
            del stage[key]


def _update_items(items: Any, key: str, fresh: Any) -> None:
    wanted = list(fresh.get(key, ()))
    moved = fresh.get({"outs": "metrics", "metrics": "outs"}.get(key), ())  # an output stands in one of the two
    for place in reversed(range(len(items))):  # in place: comments stand by the items
        if items[place] not in wanted and (_older(key, items[place]) or items[place] in moved):
            del items[place]
    for place, item in enumerate(wanted):
        if item not in items:
            items.insert(place, item)


def _older(key: str, item: Any) -> bool:
    """Whether an item is one that an older luodi wrote: its own files, settings before there was
    params.lock, an output that is no more, or one of a stage that is off."""
    if key == "deps":
        return isinstance(item, str) and (item.startswith("src/luodi/") or item in OF_OPTIONAL | GONE)
    if key == "outs":
        return item in GONE
    if key != "params":
        return False
    return bool(LOCKS & item.keys()) if isinstance(item, dict) else str(item).startswith("models.${key}")


def _add_artifacts(document: Any, models: list[str], stage: str) -> None:
    """Name what DVC and GTO call an artifact of each model: `dvc artifacts get` and registries that read dvc.yaml.

    Args:
        stage: The one that exports what is served.
    """
    artifacts = document.get("artifacts") or CommentedMap()
    if not isinstance(artifacts, CommentedMap):
        raise ParamsError("dvc.yaml: expected a mapping `artifacts:`; restore it with `git checkout HEAD -- dvc.yaml`")
    for model in models:
        own = {f"{_outputs(model)}{one}/export" for one in ("train", "compress")}
        found = artifacts.setdefault(model, CommentedMap(path=next(iter(own)), type="model"))
        if isinstance(found, dict) and found.get("path") in own:
            found["path"] = f"{_outputs(model)}{stage}/export"
    if artifacts and not document.get("artifacts"):
        document.pop("artifacts", None)
        keys = list(document)
        document.insert(keys.index("plots") if "plots" in keys else len(keys), "artifacts", artifacts)
        if keys[-1] != "plots":  # before plots stands a blank line already
            document.yaml_set_comment_before_after_key("artifacts", before="\n")


def _own_plots(model: str) -> list[Any]:
    text = (TEMPLATES / "plots.yaml").read_text(encoding="utf-8")
    return list(round_trip().load(text.replace(PLACEHOLDER, model)))


def _add_plots(document: Any, models: list[str]) -> None:
    fresh = [_own_plots(model) for model in models]
    if document.get("plots"):
        _drop_shared(document["plots"], fresh)
    titles = {_title(item) for item in document.get("plots") or ()}
    if missing := [item for own in fresh for item in own if _title(item) not in titles]:
        document["plots"] = document.get("plots") or []
        document["plots"].extend(missing)


def _drop_shared(plots: Any, fresh: Collection[list[Any]]) -> None:
    """Take out what an older luodi wrote, a plot for all models in one; what a user changed or added stays."""
    for number, shared in enumerate(_own_plots(PLACEHOLDER)):
        title = _title(shared).removesuffix(f" of {PLACEHOLDER}")
        lines = {path: names for own in fresh for path, names in _curves(own[number])[0].items()}
        for place in reversed([place for place, item in enumerate(plots) if _title(item) == title]):
            for curves in _curves(plots[place]):
                same = [path for path, names in lines.items() if curves.get(path) == names]
                for path in same:
                    del curves[path]
                if same and not curves:
                    del plots[place]
