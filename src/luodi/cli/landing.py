"""Versions on their way into production and out of it: gate, register, promote, rollback."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from luodi.cli.arguments import (
    JsonOption,
    LangOption,
    ModelArgument,
    Reference,
    VersionArgument,
    by_option,
    known_model,
    language,
    reference,
    share,
    silence,
)
from luodi.errors import Held, Unproven
from luodi.system import progress
from luodi.system.progress import Heartbeat

if TYPE_CHECKING:
    from luodi.registry.records import Approval
    from luodi.registry.tags import Version

app = typer.Typer()


@app.command(
    epilog="Examples: dvc repro && luodi gate reviews | luodi gate reviews --json | luodi gate reviews --markdown"
)
def gate(
    model: ModelArgument,
    *,
    as_json: JsonOption = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", callback=silence, help="Print Markdown for a pull request, and no progress.")
    ] = False,
    lang: LangOption = None,
) -> None:
    """Judge the model that `dvc repro` or `dvc exp run` made against the version in production; land nothing.

    It writes the comparison. What no commit holds is judged as it lies, unless LUODI_GIT_URL names another origin.
    """
    if as_json and as_markdown:
        raise typer.BadParameter("give --json or --markdown, not both")
    from luodi import config
    from luodi.cli import console, documents
    from luodi.files import write_text
    from luodi.local import checkout, embedded
    from luodi.project.paths import PARAMS, ModelPaths, find_root
    from luodi.registry import acting, card, champion, changed_answers, promotion
    from luodi.report.language import markdown
    from luodi.report.page import Identity, headed
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    known_model(root, model)
    progress.tell(f"bringing what `dvc repro` made of {model} to the DVC remote")
    with Heartbeat("bringing it"):
        origin, commit = embedded.publish(root, model, runner, landing=False)
        changed = checkout.uncommitted(root, runner) if checkout.has_history(root, runner) else []
    lies = f", with {', '.join(changed[:5])} as no commit has it: commit it to land it" if changed else ""
    progress.tell(f"judging it{lies}")
    with Heartbeat("judging it"):
        entries = promotion.checkout_entries(root, model)
        decision = champion.decide(origin, commit, model, entries, runner, counted=False)
    paths = ModelPaths(root, model)
    report, facts = paths.comparison, decision.to_json()
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    spoken, names = language(root, lang), frozenset(config.load(root / PARAMS).models[model].labels)
    identity = Identity(f"{model} in this checkout", str(decision.verdict), now, commit, lang=spoken, names=names)
    todo = acting.todo(model, facts, "checkout")
    write_text(
        report, headed(card.comparison(model, facts, changed_answers.read(paths.rows, facts), todo=todo), identity)
    )
    if as_json:
        documents.print_json({**facts, "report": report})
    elif as_markdown:
        said = f"## {model}: {decision.verdict}\n\n{card.summary(facts, todo)}"
        documents.print_text(markdown(said, spoken, names))
    else:
        console.show_decision(decision, report, todo)
    refuse(model, decision.verdict)


@app.command(
    epilog="Examples: dvc repro && luodi register reviews | luodi register reviews --approve --comment 'seen by Li'"
)
def register(
    model: ModelArgument,
    *,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it without being asked.")] = False,
    comment: Annotated[str, typer.Option(help="Kept in the version's tag with who approved, and when.")] = "",
) -> None:
    """Land the model that `dvc repro` made in this checkout if the gate lets it: commit, tag, production, push.

    With register.approval: human in params.yaml it asks whether to.
    """
    from luodi import config
    from luodi.cli import console
    from luodi.local import checkout, embedded
    from luodi.project.paths import PARAMS, find_root
    from luodi.registry import champion, promotion
    from luodi.registry.records import AUTO, Verdict, lands
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    block = config.settings_of(config.load(root / PARAMS), model)
    progress.tell(f"bringing what `dvc repro` made of {model} to the DVC remote")
    with Heartbeat("bringing it"):
        origin, commit = embedded.publish(root, model, runner, landing=True)
    progress.tell("judging it")
    entries = promotion.checkout_entries(root, model)
    decision, approval = None, AUTO
    if block.register_.approval == "human":
        with Heartbeat("judging it"):
            decision = champion.decide(origin, commit, model, entries, runner)
        console.show_decision(decision)
        if decision.verdict is not Verdict.UNCHANGED and lands(decision.verdict, "human"):
            approval = approved(model, approve, comment, checkout.who(root, runner))
    cost = checkout.training(root, model)
    with Heartbeat("landing it" if decision else "judging it"):
        landed = promotion.register(
            origin, commit, model, entries, runner, decision=decision, approval=approval, training=cost
        )
    if landed.version is None:
        console.show_decision(landed.decision)
        refuse(model, landed.decision.verdict)
    else:
        print(f"{landed.version.name} {'landed' if landed.new else 'is this model already; nothing changed'}")
        console.show_metrics(landed.decision.metrics)


def approved(model: str, approve: bool, comment: str, who: str) -> "Approval":
    """Return the approval of the person at the terminal, or raise Held."""
    from datetime import UTC, datetime

    from luodi.registry.records import Approval

    if not approve:
        if not sys.stdin.isatty():
            raise Held(f"{model} needs a person's approval (register.approval in params.yaml): give --approve")
        if not typer.confirm(f"put this model into production as {model}?"):
            raise Held(f"{model} was rejected by {who}")
        comment = comment or typer.prompt("comment", default="", show_default=False)
    return Approval(mode="human", by=who, at=datetime.now(UTC), comment=comment)


def refuse(model: str, verdict: str) -> None:
    """Raise what a verdict that does not land ends with, the reasons told before; return on one that does."""
    from luodi.registry.records import Verdict, lands

    if not lands(verdict, "auto"):
        raise (Unproven if verdict == Verdict.INSUFFICIENT else Held)(f"{model} may not land: {verdict}, see above")


@app.command(
    epilog="Examples: luodi promote reviews@v1.1.0 --reason 'better on hotels' | "
    "luodi promote reviews@v1.1.0 --canary 5%"
)
def promote(
    version: VersionArgument,
    canary: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            parser=share,
            help="Make it the canary, which answers this share of requests, 5% or 0.05, and leave production as it is.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept in the stage's tag.")] = "",
) -> None:
    """Put a registered version into production, once its files are proven to be what was registered.

    `luodi serve` follows. A canary is one until it is promoted, another takes its place, or
    `luodi rollback MODEL --canary` ends it.
    """
    if canary is None:
        landed, rows = move(version, "promote", reason)
        print(f"{landed.name} is in production; it predicted {rows} stored rows as it did when it was registered")
        return
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import promotion
    from luodi.system.processes import Runner

    assert version.number
    with Heartbeat("proving its files"):
        tried, rows = promotion.try_out(
            Origin.find(find_root()), version.model, version.number, canary, Runner(print), reason=reason
        )
    print(
        f"{tried.name} is the canary, for {canary:.3g} of requests; it predicted {rows} stored rows as it did when it "
        "was registered"
    )


@app.command(
    epilog="Examples: luodi rollback reviews | luodi rollback reviews@v1.0.0 --reason 'too many complaints' | "
    "luodi rollback reviews --canary"
)
def rollback(
    version: Annotated[
        Reference,
        typer.Argument(
            metavar="MODEL[@VERSION]",
            parser=reference,
            help="A version, such as reviews@v1.0.0; MODEL alone is that which was in production before.",
        ),
    ],
    *,
    to: Annotated[str | None, typer.Option(hidden=True)] = None,
    canary: Annotated[
        bool, typer.Option("--canary", help="End the canary of MODEL, and leave production as it is.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Kept in the stage's tag.")] = "",
) -> None:
    """Put an earlier version back into production, once its files are proven to be what was registered."""
    if canary:
        if version.number or to:
            raise typer.BadParameter(f"a model has one canary: give {version.model} alone", param_hint="--canary")
        print(f"{end_canary(version.model, reason).name} is the canary no longer")
        return
    landed, rows = move(by_option(version, "--to", to, "rollback"), "rollback", reason)
    print(f"{landed.name} is back in production; it predicted {rows} stored rows as it did when it was registered")


def end_canary(model: str, reason: str) -> "Version":
    """End the canary of a model; return it."""
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import promotion
    from luodi.system.processes import Runner

    return promotion.end_canary(Origin.find(find_root()), model, Runner(print), reason=reason)


def move(version: Reference, action: str, reason: str) -> "tuple[Version, int]":
    """Move production; return the version that is there now, and how many stored rows it predicted as ever."""
    from luodi.local import delivery
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import promotion
    from luodi.system.processes import Runner

    origin, runner = Origin.find(find_root()), Runner(print)
    with Heartbeat("proving its files"):
        moved = promotion.move(origin, version.model, version.number, runner, action=action, reason=reason)
    delivery.refresh(origin, version.model, runner)
    return moved
