"""Land a model: decide, commit its lock entries, tag the version, put it into production, in one atomic push."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luodi import config, graph, locks, registry, workspace
from luodi.errors import ArtifactError, NoIdentity, PushRejected
from luodi.files import folder_checksum, read_json
from luodi.origin import Origin
from luodi.paths import ModelPaths
from luodi.processes import CommandFailed, Runner
from luodi.registry import PRODUCTION, Version
from luodi.workspace import Workspace

ATTEMPTS = 5  # pushes tried while others land at the same time


@dataclass(frozen=True)
class Landing:
    """What came of one attempt to land.

    Attributes:
        version: The version of this model, new or known; None if it was refused.
        new: The version was made now.
        reasons: Why it was refused; empty otherwise.
        metrics: The content of metrics.json.
        latency: Median milliseconds of a one-row prediction, on this host, now.
    """

    version: Version | None
    new: bool
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]
    latency: float


def refusals(metrics: Mapping[str, Any], rule: config.Gate) -> tuple[str, ...]:
    """Return why a model may not land; empty if it may.

    It must reach the configured minimum and beat the lower bound of the baseline's interval.
    """
    value = metrics["model"][rule.metric]["value"]
    baseline = metrics["baseline"][rule.metric]["low"]
    reasons = []
    if value < rule.minimum:
        reasons.append(f"{rule.metric} {value:.4f} is below the minimum {rule.minimum:.4f}")
    if value <= baseline:
        reasons.append(f"{rule.metric} {value:.4f} does not beat the linear baseline's lower bound {baseline:.4f}")
    return tuple(reasons)


def register(origin: Origin, commit: str, model: str, entries: locks.Entries, runner: Runner) -> Landing:
    """Land the model whose stages left `entries` at `commit`. Doing it again changes nothing.

    Raises:
        NoIdentity: git does not know who commits.
        ArtifactError: The entries are not those of a whole run.
        RemoteError: Its files are not in the DVC remote, or git cannot be reached.
        PushRejected: Others pushed at each of the attempts.
    """
    with workspace.clone(origin, commit, runner, own_cache=True) as clone:
        _set_identity(clone)
        paths = ModelPaths(clone.root, model)
        block = config.model(config.load(paths.params), model)
        _require_all(graph.stages(clone.root / "dvc.yaml", model, block.modality), model, entries)
        locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, entries))
        metrics, latency = _prove(clone, paths, export := registry.export_hash(entries, model))
        if reasons := refusals(metrics, block.gate):
            return Landing(None, False, reasons, metrics, latency)
        facts = {
            "commit": commit,
            "export": export,
            "latency_ms": round(latency, 3),
            "metrics": metrics,
        }
        version, new = _land(clone, model, entries, facts)
        return Landing(version, new, (), metrics, latency)


def _require_all(stages: Iterable[str], model: str, entries: locks.Entries) -> None:
    if missing := [stage for stage in stages if f"{stage}@{model}" not in entries]:
        raise ArtifactError(f"dvc.lock has no entry of {model} for {', '.join(missing)}: run `dvc repro` first")


def _set_identity(clone: Workspace) -> None:
    """Write who commits into the clone's own settings: GTO does not read every place that git reads."""
    try:
        who = clone.git("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        name, _, mail = who.partition(">")[0].partition(" <")
        clone.git("config", "user.name", name)
        clone.git("config", "user.email", mail)
    except CommandFailed:
        raise NoIdentity(
            "git does not know who commits: expected user.name and user.email, found none; "
            'run `git config --global user.name "..."` and `git config --global user.email "..."`'
        ) from None


def _prove(clone: Workspace, paths: ModelPaths, expected: str) -> tuple[dict[str, Any], float]:
    """Bring the model back from the DVC remote, load it, and let it predict: what is tagged can be served."""
    from luodi.inference import Classifier, latency

    clone.pull(*(str(path.relative_to(clone.root)) for path in (paths.export, paths.metrics)))
    if folder_checksum(paths.export) != expected:
        raise ArtifactError(f"{paths.export} is not what dvc.lock records: push it again with `dvc push`")
    metrics: dict[str, Any] = read_json(paths.metrics)
    classifier = Classifier.load(paths.export)
    return metrics, latency(classifier, classifier.encoder.example(), 100)


def _land(clone: Workspace, model: str, entries: locks.Entries, facts: dict[str, Any]) -> tuple[Version, bool]:
    for _ in range(ATTEMPTS):
        clone.git("fetch", "--quiet", "--tags", "origin", clone.origin.branch)
        clone.lock.unlink(missing_ok=True)
        clone.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        known = registry.versions(clone.root, model)
        same = next((version for version in known if version.facts.get("export") == facts["export"]), None)
        tags = _commit(clone, model, entries) + (
            _promote(clone, same) if same else _tag(clone, model, known, entries, facts)
        )
        if not tags or _push(clone, tags):
            wanted = same.number if same else PRODUCTION
            return registry.find(clone.root, model, wanted), same is None
        _forget(clone, tags)
    raise PushRejected(
        f"{ATTEMPTS} pushes to {clone.origin.branch} were refused because others pushed first: run it again"
    )


def _commit(clone: Workspace, model: str, entries: locks.Entries) -> list[str]:
    """Commit the model's entries onto the head; return the refs to push, none if the head has them."""
    before = locks.read(clone.lock)
    after = locks.merge(before, model, entries)
    if after == before:
        return []
    locks.write(clone.lock, after)
    clone.git("add", "dvc.lock")
    clone.git("commit", "--quiet", "--no-verify", "-m", f"Land {model}: lock entries of a run")
    return [f"HEAD:refs/heads/{clone.origin.branch}"]


def _tag(
    clone: Workspace, model: str, known: list[Version], entries: locks.Entries, facts: dict[str, Any]
) -> list[str]:
    import gto.api

    landed = next((version for version in known if "export" in version.facts), None)  # not one tagged by hand
    previous = locks.parse(clone.git("show", f"{landed.commit}:dvc.lock"), landed.name) if landed else {}
    newest = known[0].number if known else None
    number = registry.next_number(newest, registry.change(previous, entries, model))
    value = facts["metrics"]["model"]["accuracy"]["value"]
    message = f"{model} {number}: accuracy {value:.4f}\n\n{json.dumps(facts, sort_keys=True, indent=1)}"
    gto.api.register(str(clone.root), model, "HEAD", version=number, message=message, simple=True)
    return [f"refs/tags/{model}@{number}", *_assign(clone, model, number)]


def _promote(clone: Workspace, version: Version) -> list[str]:
    """A model that is known already keeps its version; it only returns to production if it left it."""
    return [] if version.stage == PRODUCTION else _assign(clone, version.model, version.number)


def _assign(clone: Workspace, model: str, number: str) -> list[str]:
    import gto.api

    message = f"{model} {number} to {PRODUCTION}"
    tag = gto.api.assign(str(clone.root), model, PRODUCTION, version=number, message=message, skip_registration=True)
    return [f"refs/tags/{tag.tag}"]


def _push(clone: Workspace, refs: list[str]) -> bool:
    """Push all refs or none. Returns False if the origin moved meanwhile."""
    try:
        clone.git("push", "--quiet", "--atomic", "origin", *refs)
    except CommandFailed as error:
        if any(word in error.output for word in ("rejected", "already exists", "cannot lock ref", "fetch first")):
            return False
        raise
    return True


def _forget(clone: Workspace, refs: list[str]) -> None:
    names = [ref.removeprefix("refs/tags/") for ref in refs if ref.startswith("refs/tags/")]
    clone.git("tag", "--delete", *names)


def checkout_entries(root: Path, model: str) -> locks.Entries:
    """Return the entries of `model` in the checkout's dvc.lock."""
    return locks.of_model(locks.read(root / "dvc.lock"), model)
