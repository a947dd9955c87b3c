"""A canary at its stage in the registry: made, served, read, and ended by people, and by what is proven of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from actors import Meddler, World, git
from typer.testing import CliRunner

from luodi.cli import commands
from luodi.errors import LuodiError, NoVersion, PushRejected, RegistryError
from luodi.registry import promotion, tags

Run = Callable[..., str]


@pytest.fixture
def cli(two: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`luodi` in a checkout, in this process: what it printed, or the error that it ended with."""
    root = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", two.origin.git, str(root))
    monkeypatch.chdir(root)
    monkeypatch.setattr("luodi.system.processes.Runner", lambda tell: two.runner)
    for name, value in two.origin.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(commands.app, arguments)
        if isinstance(done.exception, LuodiError):
            return str(done.exception)
        return " ".join(done.output.split())

    return run


def try_out(world: World, number: str, share: float = 0.05) -> None:
    promotion.try_out(world.origin, "quick", number, share, world.runner, reason="because")


def canary(world: World) -> tags.Version | None:
    return tags.at_stage(tags.versions(Path(world.origin.git), "quick"), "canary")


def test_a_canary_is_made_listed_and_ended(two: World, cli: Run) -> None:
    said = cli("promote", "quick@v1.0.0", "--canary", "5%")
    assert "quick@v1.0.0 is the canary, for 0.05 of requests; it predicted 32 stored rows as it did" in said
    assert two.stages("quick") == {"v1.0.1": "production", "v1.0.0": "canary"}
    assert two.facts("quick#canary#3") == {"format": 2, "action": "try", "share": 0.05, "reason": ""}
    assert "quick@v1.0.0 canary 0.05" in cli("models", "list", "quick")
    assert '"stage": "canary", "share": 0.05' in cli("models", "list", "quick@canary", "--json")
    assert "version quick@v1.0.0 canary 0.05" in cli("models", "show", "quick@canary")
    card = two.origin.home / "cards" / "quick@v1.0.0" / "card.md"
    assert "The canary, for 0.05 of requests" in card.read_text(encoding="utf-8")
    assert '"version": "quick@v1.0.0"' in cli("predict", "quick@canary", "001acegik")
    assert "quick@v1.0.0 is the canary, for 0.2 of" in cli("promote", "quick@v1.0.0", "--canary", "0.2")
    assert cli("rollback", "quick", "--canary", "--reason", "slow") == "quick@v1.0.0 is the canary no longer"
    assert two.stages("quick") == {"v1.0.1": "production", "v1.0.0": None}
    assert two.facts("quick#canary!#5") == {"format": 2, "action": "end", "reason": "slow"}
    assert "no version of quick is a canary: nothing to end" in cli("rollback", "quick", "--canary")
    assert [one.number for one in tags.moves(Path(two.origin.git), "quick")] == ["v1.0.0", "v1.0.1"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("promote", "quick@v1.0.1", "--canary", "5%"), "quick@v1.0.1 is in production: a canary is another version"),
        (("promote", "quick@v1.0.0", "--canary", "5"), "expected a share such as 5% or 0.05, found 5"),
        (("promote", "quick@v9.0.0", "--canary", "5%"), "no quick@v9.0.0 in the registry"),
        (("rollback", "quick@v1.0.0", "--canary"), "a model has one canary: give quick alone"),
        (
            ("predict", "quick@canary", "x"),
            "no version of quick is a canary: `luodi promote quick@VERSION --canary 5%`",
        ),
    ],
)
def test_what_can_be_no_canary_is_told(cli: Run, given: tuple[str, ...], told: str) -> None:
    assert told in cli(*given).replace("│ ", "").replace(" │", "")


def test_a_canary_that_is_promoted_is_none_any_more_and_does_not_come_back(two: World) -> None:
    try_out(two, "v1.0.0")
    two.move("quick", "v1.0.0")
    assert two.stages("quick") == {"v1.0.1": None, "v1.0.0": "production"}
    two.move("quick", "v1.0.1")
    assert two.stages("quick") == {"v1.0.1": "production", "v1.0.0": None}
    two.move("quick", None, "rollback")
    assert (two.stages("quick"), canary(two)) == ({"v1.0.1": None, "v1.0.0": "production"}, None)


def test_a_landing_leaves_the_canary_and_another_takes_its_place(two: World) -> None:
    try_out(two, "v1.0.0")
    two.land("quick", "best")
    assert two.stages("quick") == {"v1.0.2": "production", "v1.0.1": None, "v1.0.0": "canary"}
    try_out(two, "v1.0.1")
    assert two.stages("quick") == {"v1.0.2": "production", "v1.0.1": "canary", "v1.0.0": None}


def test_there_is_none_without_production_and_two_at_once_are_one(two: World) -> None:
    rival = Meddler(("git", "push"), lambda _: try_out(two, "v1.0.0", 0.2))
    with pytest.raises(PushRejected, match="canary of quick was moved by somebody else just now"):
        try_out(replace(two, runner=rival), "v1.0.0", 0.1)
    assert [one.share for one in tags.versions(Path(two.origin.git), "quick")] == [0.0, 0.2]
    two.git("tag", "--annotate", "--message", "by hand", "quick#production!#9", "quick@v1.0.1^{}")
    with pytest.raises(NoVersion, match="no version of quick is in production"):
        try_out(two, "v1.0.0")
    with pytest.raises(RegistryError, match="is a canary: nothing to end"):
        promotion.end_canary(two.origin, "careful", two.runner, reason="")


@pytest.mark.parametrize(("message", "share"), [("x", 0.05), ('x\n\n{"share": 7}', 0.05), ('x\n\n{"share": 0.5}', 0.5)])
def test_a_canary_by_hand_has_a_share_too(two: World, message: str, share: float) -> None:
    two.git("tag", "--annotate", "--message", message, "quick#canary#7", "quick@v1.0.0^{}")
    found = canary(two)
    assert found and (found.number, found.share) == ("v1.0.0", share)
