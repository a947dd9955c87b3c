"""Land a model: decide, commit its lock entries, tag the version, put it into production, in one atomic push.

The order of effects: files are proven to be in the DVC remote, then commit, tags and stage appear in the git origin
together. Whatever dies on the way leaves files that nothing points to, and production as it was.

The tag of a version holds as JSON: format (see `luodi.files.FORMAT`), commit (of the user, whose files ran),
export (hash of what is served), metrics, latency_ms, data, sources, environment, params, training (cost, or null),
decision (of the gate), approval, example (a question that is made up, and the answer). That of a move holds format,
action, from and reason, that of a canary format, action, share and reason. Who and when is what git says of the tagger.
"""

import contextlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luodi import __version__, config
from luodi.errors import ArtifactError, Held, NoVersion, PushRejected, RegistryError
from luodi.files import FORMAT, read_facts, write_text
from luodi.project import commits, graph, locks, programs, workspace
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.project.workspace import Workspace
from luodi.registry import champion, example, last_judged, pushing, tags
from luodi.registry.records import AUTO, Approval, Decision, Verdict, lands
from luodi.registry.tags import CANARY, PRODUCTION, Version
from luodi.system.masking import redacted
from luodi.system.processes import CommandFailed, Runner

if TYPE_CHECKING:
    from luodi.scoring.inference import Classifier

EXACT = {"commit", "export", "data", "action", "from", "params"}
"""Facts that are compared by their letters: they stay, should a password be the name of a model or like a label."""


@dataclass(frozen=True)
class Landing:
    """What came of one attempt to land.

    Attributes:
        version: The version of this model, new or known; None if it was refused.
        new: The version was made now.
        decision: What the gate said.
    """

    version: Version | None
    new: bool
    decision: Decision


@dataclass(frozen=True)
class Challenger:
    """A model that wants to land, in a clone whose DVC cache is its own: what is there came from the remote.

    Attributes:
        decision: Of an earlier gate, if there was one.
        approval: Who let it land.
        training: What training cost, if it is known.
    """

    clone: Workspace
    model: str
    commit: str
    entries: locks.Entries
    approval: Approval
    training: Mapping[str, Any] | None
    decision: Decision | None

    @property
    def paths(self) -> ModelPaths:
        return ModelPaths(self.clone.root, self.model)

    @property
    def export(self) -> str:
        return tags.export_hash(self.entries, self.model)


def register(
    origin: Origin,
    commit: str,
    model: str,
    entries: locks.Entries,
    runner: Runner,
    *,
    decision: Decision | None = None,
    approval: Approval = AUTO,
    training: Mapping[str, Any] | None = None,
) -> Landing:
    """Land the model whose stages left `entries` at `commit`. Doing it again changes nothing.

    A `decision` is that of the gate on these entries; it holds while the champion it names is in production.

    Raises:
        Held: A person approved it against a champion that is not in production any more.
        NoIdentity: git does not know who commits.
        ArtifactError: The entries are not those of a whole run.
        RegistryError: The files of the champion are not those that were registered.
        RemoteError: Its files are not in the DVC remote, or git cannot be reached.
        PushRejected: Others pushed at each of the attempts, or the git origin refuses the push.
    """
    with workspace.clone(origin, commit, runner, own_cache=True) as clone:
        _set_identity(clone)
        challenger = Challenger(clone, model, commit, entries, approval, training, decision)
        block = config.settings_of(config.load(challenger.paths.params), model)
        champion.require_whole(clone, block, model, entries)
        locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, entries))
        facts = _facts(challenger, block, _prove(challenger))
        return pushing.until_first(origin, lambda: _land(challenger, facts, _head(clone)))


def move(
    origin: Origin, model: str, number: str | None, runner: Runner, *, action: str, reason: str
) -> tuple[Version, int]:
    """Put a registered version into production, once its files are proven to be what was registered.

    Args:
        number: Such as "v1.0.0"; None for the version that was in production before.
        action: "promote" or "rollback", kept in the tag with `reason`.

    Returns:
        The version, and the number of rows that it predicted as it did when it was registered.

    Raises:
        NoVersion: There is no such version, or none was in production before.
        RegistryError: It is in production already, or its files are not those that were registered.
        RemoteError: Its files are not in the DVC remote, or git cannot be reached.
        PushRejected: Production was moved by somebody else meanwhile, or the git origin refuses the push.
    """
    tags.set_aside(origin)
    mirror = tags.mirror(origin, runner)
    place = tags.next_place(mirror, model)
    target = tags.find(mirror, model, previous(mirror, model) if number is None else number)
    before = tags.in_production(tags.versions(mirror, model, newest=0))
    if target.stage == PRODUCTION:
        raise RegistryError(f"{target.name} is in production already: nothing to do")
    stages: dict[str, Mapping[str, Any]] = {
        PRODUCTION: {"action": action, "from": before and before.name, "reason": reason}
    }
    if target.stage == CANARY:
        stages[f"{CANARY}!"] = {"action": "end", "reason": f"it is in production by {action}"}
    return target, _assigned(origin, target, place, runner, stages)


def try_out(
    origin: Origin, model: str, number: str, share: float, runner: Runner, *, reason: str
) -> tuple[Version, int]:
    """Make a registered version the canary, which answers a share of requests, once its files are proven as by `move`.

    Args:
        share: 0 to 1.

    Raises:
        NoVersion: There is no such version, or none in production beside which it could be tried.
        RegistryError: It is in production. Others as of `move`.
    """
    tags.set_aside(origin)
    mirror = tags.mirror(origin, runner)
    place = tags.next_place(mirror, model)
    tags.find(mirror, model)
    target = tags.find(mirror, model, number)
    if target.stage == PRODUCTION:
        raise RegistryError(f"{target.name} is in production: a canary is another version, beside it")
    facts = {"action": "try", "share": share, "reason": reason}
    return target, _assigned(origin, target, place, runner, {CANARY: facts})


def end_canary(origin: Origin, model: str, runner: Runner, *, reason: str) -> Version:
    """Take a canary back; return it.

    Raises:
        NoVersion: There is none.
        PushRejected: As of `move`.
    """
    tags.set_aside(origin)
    mirror = tags.mirror(origin, runner)
    place = tags.next_place(mirror, model)
    target = tags.at_stage(tags.versions(mirror, model, newest=0), CANARY)
    if target is None:
        raise NoVersion(f"no version of {model} is a canary: nothing to end")
    with workspace.clone(origin, target.commit, runner) as clone:
        _push_stages(clone, target, place, {f"{CANARY}!": {"action": "end", "reason": reason}})
    return target


def _assigned(
    origin: Origin, target: Version, place: int, runner: Runner, stages: Mapping[str, Mapping[str, Any]]
) -> int:
    """Prove a version's files, and put it at stages; return how many stored rows it predicted as ever."""
    from luodi.scoring import sample
    from luodi.scoring.inference import Classifier

    with tags.opened(origin, target, runner, "export", "sample", own_cache=True) as clone:
        paths = ModelPaths(clone.root, target.model)
        rows = sample.check(paths.sample, Classifier.load(paths.export), target.name)
        _push_stages(clone, target, place, stages)
    return rows


def _push_stages(clone: Workspace, target: Version, place: int, stages: Mapping[str, Mapping[str, Any]]) -> None:
    """Tag that a version is at stages, or, of one that ends in !, is there no longer; one push for all."""
    _set_identity(clone)
    refs = [_assign(clone, target.name, target.commit, f"{stage}#{place}", facts) for stage, facts in stages.items()]
    if not pushing.push(clone, refs):
        which = next(iter(stages)).rstrip("!")
        raise PushRejected(f"{which} of {target.model} was moved by somebody else just now: look at `luodi models`")


def previous(repository: Path, model: str) -> str:
    """Return the number of the version that was in production before the one that is there now.

    Raises:
        NoVersion: There was none.
    """
    path: list[str] = []
    for move in tags.moves(repository, model):
        if move.number in path and move.facts.get("action") == "rollback":
            while path[-1] != move.number:  # what was rolled back from is not gone back to
                path.pop()
        elif move.number:
            path.append(move.number)
    for number in dict.fromkeys(reversed(path)):
        with contextlib.suppress(NoVersion):  # its tag was damaged or withdrawn
            if number != path[-1] and tags.find(repository, model, number).export is not None:
                return number
    raise NoVersion(
        f"there is no earlier version of {model} to go back to: `luodi models` lists what there is, "
        f"`luodi rollback {model}@VERSION` goes to any"
    )


def _set_identity(clone: Workspace) -> None:
    """Write who commits into the clone's own settings: the environment may name no author beside the committer."""
    name, _, mail = commits.identity(clone.git, "COMMITTER").rstrip(">").partition(" <")
    clone.git("config", "user.name", name)
    clone.git("config", "user.email", mail)


def _prove(challenger: Challenger) -> "Classifier":
    """Every output is in the DVC remote, and the model that comes back from there predicts as it did: return it."""
    from luodi.scoring import sample
    from luodi.scoring.inference import Classifier

    clone, paths = challenger.clone, challenger.paths
    needed = (paths.export, paths.sample, paths.metrics, paths.preprocess_summary, paths.validation_summary)
    if missing := clone.prove(*challenger.entries, paths=[str(path.relative_to(clone.root)) for path in needed]):
        raise clone.absent(set(missing))
    classifier = Classifier.load(paths.export)
    sample.check(paths.sample, classifier, challenger.model)
    return classifier


def _facts(challenger: Challenger, block: config.ModelSettings, classifier: "Classifier") -> dict[str, Any]:
    clone, paths = challenger.clone, challenger.paths
    validated, summary = read_facts(paths.validation_summary), read_facts(paths.preprocess_summary)
    deps = challenger.entries[f"validate@{challenger.model}"]["deps"]
    data = next(dep["md5"] for dep in deps if dep["path"] == f"data/{challenger.model}")
    dated = clone.git("log", "-1", "--format=%cI", challenger.commit, "--", "data.dvc").strip()
    return {
        "commit": commits.source(clone.git, challenger.commit),
        "export": challenger.export,
        "metrics": read_facts(paths.metrics),
        "data": {"hash": data, "dated": dated, **validated, "summary": summary},
        "sources": summary.pop("sources"),
        "environment": _environment(challenger.entries),
        "params": block.model_dump(mode="json", by_alias=True),
        "training": dict(challenger.training) if challenger.training else None,
        "approval": challenger.approval.to_json(),
        "example": example.answered(classifier, block),
    }


def _environment(entries: locks.Entries) -> dict[str, Any]:
    """What the stages ran with: luodi, Python, and the libraries that their fingerprints name."""
    libraries = {name: version for stage in entries for name, version in locks.libraries(entries, stage).items()}
    return {"luodi": __version__, "python": platform.python_version(), "libraries": dict(sorted(libraries.items()))}


def _head(clone: Workspace) -> str:
    """Fetch what others pushed; return the commit that the branch is at."""
    clone.git("fetch", "--quiet", "origin", clone.origin.branch)
    return clone.git("rev-parse", "FETCH_HEAD").strip()


def _land(challenger: Challenger, facts: Mapping[str, Any], head: str) -> Landing | None:
    """Try once, on the head of the branch; None if others were faster."""
    clone, model = challenger.clone, challenger.model
    mirror = tags.mirror(clone.origin, clone.runner)
    place = tags.next_place(mirror, model)
    known = tags.versions(mirror, model)
    current = tags.in_production(known)
    same = tags.same(known, challenger.export)
    decision = _decision(challenger, current, same)
    if not (same and same is current):
        # "unchanged" is no leave to land: it was said of a model that was in production then, and is not now.
        if decision.verdict is Verdict.UNCHANGED or not lands(decision.verdict, challenger.approval.mode):
            return Landing(None, False, decision)
        if facts["params"]["register"]["approval"] == "human" and challenger.approval.mode == "auto":
            raise Held(
                f"{model} needs a person's approval (register.approval in params.yaml): none was given; "
                "run it again, and approve it"
            )
    landed = _commit(challenger, head)
    refs = [] if landed == head else [f"{landed}:refs/heads/{clone.origin.branch}"]
    if not same:
        # A version is what was trained: where the branch holds other files by now, it stands beside the branch.
        beside = not commits.same_files(clone.git, landed, challenger.commit)
        commit = _commit(challenger, challenger.commit) if beside else landed
        kept = {name: value for name, value in decision.to_json().items() if name not in ("metrics", "latency_ms")}
        measured = {"decision": kept, "latency_ms": decision.latency_ms}
        newest = next(iter(tags.numbers(mirror, model)), None)
        number = tags.next_number(newest, _change(challenger, mirror, known))
        refs.append(_tag(challenger, commit, number, {**facts, **measured}))
        moved = {"action": "land", "from": current.name if current else None, "reason": decision.verdict.value}
        refs.append(_assign(clone, f"{model}@{number}", commit, f"{PRODUCTION}#{place}", moved))
    name = same.name if same else f"{model}@{number}"
    refs += last_judged.refs(clone, model, decision, name)
    if refs and not pushing.push(clone, refs):
        return None
    return Landing(same or tags.find(clone.root, model, number), not same, decision)


def _decision(challenger: Challenger, current: Version | None, same: Version | None) -> Decision:
    """The decision that was given, while it holds; else a new one. One by a look that was not counted holds never."""
    given, name = challenger.decision, current.name if current else None
    if given and given.comparison and given.comparison.look and not given.comparison.look.taken:
        given = None
    if given and (same is current if same else given.champion == name):
        return given
    if given and not same and challenger.approval.mode == "human":
        raise Held(
            f"{challenger.model} was approved against {given.champion or 'no version'}, but in production is "
            f"{name or 'none'} now: run it again"
        )
    return champion.decide(
        challenger.clone.origin, challenger.commit, challenger.model, challenger.entries, challenger.clone.runner
    )


def _commit(challenger: Challenger, base: str) -> str:
    """Return a commit on `base` with the model's entries: `base` itself if it has them."""
    git, model = challenger.clone.git, challenger.model
    before = commits.entries(git, base)
    after = locks.merge(before, model, challenger.entries)
    if after == before:
        return base
    return commits.with_entries(git, base, after, [base], f"Land {model}: lock entries of a run")


def _change(challenger: Challenger, mirror: Path, known: list[Version]) -> str:
    """What changed since the last version whose lock entries can be read; one tagged by hand may have none."""
    clone, model = challenger.clone, challenger.model
    for version in known:
        if version.export is not None:
            with contextlib.suppress(ArtifactError, CommandFailed):
                before = commits.entries(partial(programs.git, clone.origin, clone.runner, mirror), version.commit)
                return tags.change(before, challenger.entries, model)
    return tags.change({}, challenger.entries, model)


def _tag(challenger: Challenger, commit: str, number: str, facts: Mapping[str, Any]) -> str:
    """Tag a commit as a version; return the ref to push."""
    title = f"{challenger.model} {number}: accuracy {facts['metrics']['model']['accuracy']['value']:.4f}"
    return _annotate(challenger.clone, f"{challenger.model}@{number}", commit, title, facts)


def _assign(clone: Workspace, name: str, commit: str, place: str, facts: Mapping[str, Any]) -> str:
    """Tag that the version MODEL@NUMBER, which is on a commit, is at a place, STAGE#N; return the ref to push."""
    model, _, number = name.partition("@")
    stage = place.partition("#")[0]
    way = f"from {stage[:-1]}" if stage.endswith("!") else f"to {stage}"
    return _annotate(clone, f"{model}#{place}", commit, f"{model} {number} {way}", facts)


def _annotate(clone: Workspace, name: str, commit: str, title: str, facts: Mapping[str, Any]) -> str:
    """Make a tag as GTO does, which would read all tags to do so; return the ref to push."""
    message = clone.root / ".git" / "message"  # longer than an argument may be
    write_text(message, _message(title, facts))
    clone.git("tag", "--annotate", "--no-sign", "--cleanup=verbatim", f"--file={message}", name, commit)
    return f"refs/tags/{name}"


def _message(title: str, facts: Mapping[str, Any]) -> str:
    told = {"format": FORMAT, **redacted(facts), **{name: facts[name] for name in EXACT & facts.keys()}}
    return f"{title}\n\n{json.dumps(told, sort_keys=True, indent=1)}"


def checkout_entries(root: Path, model: str) -> locks.Entries:
    """Return the entries of `model` in the checkout's dvc.lock, without those of stages that dvc.yaml has no longer."""
    entries = locks.of_model(locks.read(root / "dvc.lock"), model)
    return {name: one for name, one in entries.items() if graph.has(root / "dvc.yaml", name.partition("@")[0])}
