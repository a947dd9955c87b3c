"""What people take away of a version: its cards, its reports, and the model for a deployment."""

import contextlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luodi import config
from luodi.errors import ArtifactError, LuodiError, NoVersion
from luodi.files import private, private_folder, read_facts, replacing_folder, write_json, write_text
from luodi.local import hub, shelf
from luodi.project import locks, workspace
from luodi.project.origin import Origin
from luodi.project.paths import PARAMS, ModelPaths
from luodi.project.workspace import Workspace
from luodi.registry import (
    acting,
    card,
    changed_answers,
    doubts,
    gate_sections,
    history,
    new_rows,
    review,
    tags,
    training_page,
)
from luodi.registry.classifier import BESIDE, EXAMPLE, FACTS, KERAS, pulled_facts
from luodi.registry.tags import Move, Version
from luodi.report import language, page
from luodi.report.document import Section
from luodi.report.formatting import at, moment, part, text, texts
from luodi.report.page import Identity
from luodi.system.processes import Runner

REVIEW = "review.md"
"""What validation, evaluation and gate found, in short, for a pull request."""
CARD = "card.html"
WRITTEN = frozenset({"model.onnx", "model.onnx.data", "encoder.json", "tokenizer.json", *BESIDE})
"""What a pulled folder may hold."""


@private()
def cards(origin: Origin, version: Version, moves: Sequence[Move] = (), lang: str = "en") -> Path:
    """Write the model card of a version, as a page and as Markdown, and what the gate said; return their folder."""
    folder = private_folder(origin.home) / "cards" / version.name
    with replacing_folder(folder) as temporary:
        _write_cards(temporary, version, moves)
        _head(temporary, _identity(version, lang))
    return folder


@private()
def refresh(origin: Origin, model: str, runner: Runner) -> None:
    """Say on the cards of a model that are here what became of each version, and in the index."""
    repository = tags.mirror(origin, runner)
    moves = tags.moves(repository, model)
    for folder in sorted((origin.home / "reports").glob(f"{model}@*")):
        with contextlib.suppress(NoVersion):  # its tag was withdrawn
            version = tags.find(repository, model, folder.name.partition("@")[2])
            lang = _spoken(folder / CARD)
            _write_card(folder, version, moves)
            _head(folder, _identity(version, lang), f"../{shelf.INDEX}", only=(CARD, "card.md"))
    index = origin.home / "reports" / shelf.INDEX
    if index.exists():
        shelf.index(origin, runner, _spoken(index))


def _spoken(page: Path) -> str:
    return language.spoken(page.read_text(encoding="utf-8")) if page.exists() else "en"


def _head(folder: Path, identity: Identity, above: str = "", only: Collection[str] = ()) -> None:
    """Say on each page of a folder, or `only` on some, whose it is, in its language; what is Markdown is told too."""
    shelf.head(folder, identity, above, only)
    for path in folder.glob("*.md"):
        if not only or path.name in only:
            text = path.read_text(encoding="utf-8")
            write_text(path, language.markdown(text, identity.lang, identity.names))


def _write_card(folder: Path, version: Version, moves: Sequence[Move]) -> None:
    status = history.standing(version, moves, datetime.now(UTC)) if moves else ""
    facts = version.name, version.registered, version.author, version.facts, status
    write_text(folder / CARD, card.html(*facts))
    write_text(folder / "card.md", f"---\n{hub.metadata(version)}\n---\n{card.markdown(*facts)}")


def _write_cards(
    folder: Path, version: Version, moves: Sequence[Move], rows: changed_answers.Rows = card.NO_ROWS
) -> None:
    _write_card(folder, version, moves)
    if decision := part(version.facts, "decision"):
        write_text(folder / "comparison.html", card.comparison(version.model, decision, rows, landed=True))


def _identity(version: Version, lang: str) -> Identity:
    status, made = f"registered by {version.author}", moment(version.registered.isoformat())
    data = text(at(version.facts, "data", "hash"))
    return Identity(version.name, status, made, version.commit, data, lang, _names(version.facts))


def _names(facts: Mapping[str, Any]) -> frozenset[str]:
    """What the data are called in: labels, and sources of rows."""
    return frozenset([*texts(facts, "params", "labels"), *map(text, part(facts, "sources"))])


def deploy(
    origin: Origin, version: Version, folder: Path, runner: Runner, *, keras: bool = False, lang: str = "en"
) -> None:
    """Copy the exported model of a version into `folder`, with its card, its facts, and how to use it without luodi.

    `keras` asks for its network too, `lang` is the language of the card.

    Raises:
        ArtifactError: The version has no network.
        LuodiError: The folder holds something else than an earlier pull.
        RegistryError: The files are not those that were registered, or this code reads them otherwise.
        RemoteError: The DVC remote cannot be used.
    """
    if folder.exists() and not (folder.is_dir() and (_pulled(folder) or not any(folder.iterdir()))):
        raise LuodiError(f"{folder} holds something else than a pulled model: name a new or an empty folder")
    from luodi.scoring import sample
    from luodi.scoring.inference import Classifier

    found = tags.fetch(origin, version, runner)
    sample.check(found / "sample.json", Classifier.load(found / "export"), version.name)
    with replacing_folder(folder.resolve()) as temporary:
        for file in (found / "export").iterdir():  # without its rights: what is deployed is for others too
            shutil.copyfile(file, temporary / file.name)
        shutil.copyfile(Path(__file__).with_name(EXAMPLE), temporary / EXAMPLE)
        if keras:
            _bring_network(origin, version, temporary, runner)
        _write_cards(temporary, version, tags.moves(tags.mirror(origin, runner), version.model))
        _head(temporary, _identity(version, lang))
        write_json(temporary / FACTS, {"version": version.name, "format": version.format, **version.facts})


def _bring_network(origin: Origin, version: Version, folder: Path, runner: Runner) -> None:
    with tags.opened(origin, version, runner, "net") as clone:
        network = ModelPaths(clone.root, version.model).keras_model
        if not network.exists():
            raise ArtifactError(
                f"{version.name} has no network that Keras opens: it is a linear model, or an encoder, whose weights "
                "model.onnx holds; leave --keras out"
            )
        shutil.copyfile(network, folder / KERAS)


def _pulled(folder: Path) -> bool:
    """Whether an earlier pull made the folder: it says of what version, and nothing else lies in it."""
    if any(path.name not in WRITTEN or not path.is_file() for path in folder.iterdir()):
        return False
    return pulled_facts(folder) is not None


@private()
def reports(origin: Origin, version: Version, runner: Runner, lang: str = "en") -> Path:
    """Bring the reports of a version into a folder of its name and return that folder."""
    folder = origin.home / "reports" / version.name
    if not folder.is_dir() or _spoken(folder / CARD) != lang:
        with workspace.clone(origin, version.commit, runner) as clone, replacing_folder(folder) as temporary:
            _bring_reports(clone, version.model, temporary, version.facts)
            before = _before(origin, version.model, part(version.facts, "decision"), runner)
            rows = _turned(clone, version.model, part(version.facts, "decision"))
            _join(temporary, version.model, part(version.facts, "decision"), before, part(version.facts, "data"), rows,
                  landed=True)  # fmt: skip
            moves = tags.moves(tags.mirror(origin, runner), version.model)
            write_text(temporary / REVIEW, review.markdown(review.Subject(version.name, version.facts, landed=True)))
            _write_cards(temporary, version, moves, rows)
            _head(temporary, _identity(version, lang), f"../{shelf.INDEX}")
    refresh(origin, version.model, runner)
    return folder


@private()
def last_reports(origin: Origin, model: str, result: Mapping[str, Any], runner: Runner, lang: str = "en") -> Path:
    """Bring the reports of a run that landed nothing into a folder of their own and return that folder.

    They lie below the name of the model, named by when; of as many runs as `shelf.KEPT`.
    """
    now, commit = datetime.now(UTC), result["commit"]
    runs = origin.home / "reports" / model
    folder = runs / f"{now:%Y-%m-%dT%H.%M.%SZ}-{commit[:8]}"
    with workspace.clone(origin, commit, runner) as clone, replacing_folder(folder) as temporary:
        locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, result["entries"]))
        _bring_reports(clone, model, temporary, result)
        before = _before(origin, model, result["decision"], runner)
        data = _validated(clone, model)
        todo = acting.todo(model, result["decision"], came=result["verdict"])
        rows = _turned(clone, model, result["decision"])
        _join(temporary, model, result["decision"], before, data, rows, todo)
        write_text(temporary / "comparison.html", card.comparison(model, result["decision"], rows, todo=todo))
        identity = Identity(f"a run of {model}", f"nothing landed: {result['verdict']}", moment(now.isoformat()),
                            commit, _data(result["entries"], model), lang, _labels(clone.root, model))  # fmt: skip
        facts = {"data": data, "metrics": part(result["decision"], "metrics"), "decision": result["decision"]}
        write_text(temporary / REVIEW, review.markdown(review.Subject(f"{identity.name}, {identity.made}", facts)))
        _head(temporary, identity, f"../../{shelf.INDEX}")
        shelf.put(temporary, result["decision"], now)
    shelf.tidy(runs)
    return folder


@private()
def stopped(origin: Origin, model: str, begun: float, runner: Runner, lang: str = "en") -> Path | None:
    """Keep the page of a run that validation stopped after the time `begun` in a folder of its own; return it.

    None where no run was: what it left lies among the last failures.
    """
    failures = origin.home / "failed"
    left = [path for path in failures.iterdir() if path.stat().st_mtime >= begun] if failures.is_dir() else []
    for root in sorted(left, key=lambda path: path.stat().st_mtime, reverse=True):
        paths = ModelPaths(root, model)
        why = _stopping(paths)
        if why and paths.validation_report.exists():
            return _keep(origin, paths, why, runner, lang)
    return None


def _stopping(paths: ModelPaths) -> list[str]:
    """The critical checks that the rows of a run broke."""
    found = at(read_facts(paths.validation_summary), "findings") if paths.validation_summary.exists() else None
    broken = [one for one in found or () if at(one, "severity") == "critical" and at(one, "passed") is False]
    return [text(at(one, "title")) for one in broken]


def _labels(root: Path, model: str) -> frozenset[str]:
    with contextlib.suppress(LuodiError):  # what a failed run left may lack them
        return frozenset(config.settings_of(config.load(root / PARAMS), model).labels)
    return frozenset()


def _keep(origin: Origin, paths: ModelPaths, why: list[str], runner: Runner, lang: str) -> Path:
    now, commit = datetime.now(UTC), paths.root.name.partition("-")[0]
    runs = origin.home / "reports" / paths.model
    folder = runs / f"{now:%Y-%m-%dT%H.%M.%SZ}-{commit[:8]}"
    with replacing_folder(folder) as temporary:
        shutil.copyfile(paths.validation_report, temporary / "validation.html")
        before = _production(origin, paths.model, runner)
        _join(temporary, paths.model, {}, before, read_facts(paths.validation_summary), {})
        status = f"stopped by validation: {', '.join(why)}"
        names = _labels(paths.root, paths.model)
        identity = Identity(f"a run of {paths.model}", status, moment(now.isoformat()), commit, "", lang, names)
        _head(temporary, identity, f"../../{shelf.INDEX}")
        shelf.put(temporary, {}, now, stopped=", ".join(why))
    shelf.tidy(runs)
    return folder


def _production(origin: Origin, model: str, runner: Runner) -> Version | None:
    with contextlib.suppress(LuodiError):
        return tags.find(tags.mirror(origin, runner), model)
    return None


def _before(origin: Origin, model: str, decision: Mapping[str, Any], runner: Runner) -> Version | None:
    """The version that a decision was made against, if it is known."""
    number = text(at(decision, "champion")).partition("@")[2]
    with contextlib.suppress(LuodiError):
        return tags.find(tags.mirror(origin, runner), model, number) if number else None
    return None


def _validated(clone: Workspace, model: str) -> Mapping[str, Any]:
    """What validation counted."""
    path = ModelPaths(clone.root, model).validation_summary
    clone.pull(str(path.relative_to(clone.root)))
    return read_facts(path)


def _join(  # noqa: PLR0917, each is another thing
    folder: Path, model: str, decision: Mapping[str, Any], before: Version | None, data: Mapping[str, Any],
    rows: changed_answers.Rows, todo: str = "", *, landed: bool = False,
) -> None:  # fmt: skip
    """Say in the pages of stages what changed since the version in production, and which labels others contradict."""
    pages = {name: folder / f"{name}.html" for name in ("validation", "evaluation")}
    told = new_rows.rows(before.name, part(before.facts, "data"), data) or new_rows.UNTOLD if before else new_rows.FIRST
    doubted = doubts.section(model, decision, rows)
    if pages["validation"].exists():
        _put(pages["validation"], [told, *([doubted] if doubted else [])])
    if decision and pages["evaluation"].exists():
        _put(pages["evaluation"], gate_sections.since(decision), gate_sections.judged(decision, todo, landed=landed))


def _put(path: Path, sections: Sequence[Section], verdict: Mapping[str, str] | None = None) -> None:
    write_text(path, page.joined(path.read_text(encoding="utf-8"), sections, verdict))


def _turned(clone: Workspace, model: str, decision: Mapping[str, Any]) -> changed_answers.Rows:
    """The rows that a decision names: newly right or wrong, or of a label that others contradict."""
    path = ModelPaths(clone.root, model).rows
    if not changed_answers.named(decision):
        return {}
    clone.pull(str(path.relative_to(clone.root)))
    return changed_answers.read(path, decision)


def _data(entries: locks.Entries, model: str) -> str:
    deps = entries.get(f"validate@{model}", {}).get("deps", ())
    return next((dep["md5"] for dep in deps if dep["path"] == f"data/{model}"), "")


def _bring_reports(clone: Workspace, model: str, folder: Path, facts: Mapping[str, Any]) -> None:
    paths = ModelPaths(clone.root, model)
    files = {
        "validation.html": paths.validation_report,
        "preprocess.html": paths.preprocess_report,
        "evaluation.html": paths.evaluation_report,
        "mistakes.csv": paths.mistakes,
        "history.csv": paths.history,
    }
    made = locks.of_model(locks.read(clone.lock), model)
    known = {clone.root / path for stage in made for path in locks.outputs(made, stage)}
    files = {name: path for name, path in files.items() if path in known}  # an older version has no mistakes.csv
    clone.pull(*(str(path.relative_to(clone.root)) for path in files.values()))
    for name, path in files.items():
        shutil.copyfile(path, folder / name)
    if "history.csv" in files:
        _write_training(folder, model, locks.params(made, f"train@{model}"), facts)


def _write_training(folder: Path, model: str, params: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Make the page of a network's training from its history, which goes where there was none."""
    history = (folder / "history.csv").read_text(encoding="utf-8")
    settings = part(params, f"models.{model}.train")
    if html := training_page.html(model, history, settings, part(facts, "metrics", "choice"), part(facts, "training")):
        write_text(folder / "training.html", html)
    else:
        (folder / "history.csv").unlink()
