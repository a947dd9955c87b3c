"""`luodi report`: of a checkout, of a version, and of both side by side."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gallery
import pytest
from actors import World, git

from luodi.files import write_text
from luodi.local import delivery, shelf
from luodi.registry import card
from luodi.report.page import Identity

HELD = {
    "verdict": "hold", "champion": "quick@v1.0.0", "reasons": ["it is slow"],
    "changes": [{"of": "rule", "said": "gate.minimum 0.8 -> 0.7", "asks_less": True}],
    "metrics": {"model": {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.9}}},
}  # fmt: skip


@pytest.fixture
def checkout(one: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in one.origin.environment().items():
        monkeypatch.setenv(name, value)
    git(tmp_path, "clone", "--quiet", "--no-tags", one.origin.git, str(tmp_path / "checkout"))
    return tmp_path / "checkout"


def test_a_version_and_what_differs_from_another(checkout: Path, one: World, luodi: Callable[..., Any]) -> None:
    one.land("quick", "best")
    done = luodi(checkout, "report", "quick@production", "--compare", "quick@v1.0.0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# quick@v1.0.1\n\n## What differs from quick@v1.0.0\n")
    assert "## Validation" in done.stdout
    assert "## Evaluation" in done.stdout
    told = json.loads(luodi(checkout, "report", "quick@v1.0.1", "--compare", "quick@v1.0.0", "--format", "json").stdout)
    assert (told["name"], told["compared_to"]["name"]) == ("quick@v1.0.1", "quick@v1.0.0")
    short = luodi(checkout, "report", "quick@production", "--compare", "@v1.0.0")
    assert short.stdout == done.stdout
    other = luodi(checkout, "report", "quick@production", "--compare", "slow@v1.0.0")
    assert other.returncode == 2 and "expected a version of quick, found slow@v1.0.0" in " ".join(other.stderr.split())
    page = luodi(checkout, "report", "quick@v1.0.1", "--format", "html").stdout
    assert "<h1>quick@v1.0.1</h1>" in page
    chinese = luodi(checkout, "report", "quick@v1.0.1", "--format", "html", "--lang", "zh").stdout
    assert '<html lang="zh-CN">' in chinese and ">验证</h2>" in chinese and ">Validation</h2>" not in chinese
    params = checkout / "params.yaml"
    params.write_text(f"language: zh\n{params.read_text(encoding='utf-8')}", encoding="utf-8")
    assert "\n## 评估\n" in luodi(checkout, "report", "quick@v1.0.1").stdout
    assert "\n## Evaluation\n" in luodi(checkout, "report", "quick@v1.0.1", "--lang", "en").stdout
    shown = luodi(checkout, "models", "show", "quick@v1.0.1")
    cards = one.origin.home / "cards" / "quick@v1.0.1"
    assert shown.returncode == 0 and "quick@v1.0.1 的模型卡" in (cards / "card.html").read_text(encoding="utf-8")
    assert "# quick@v1.0.1 的模型卡\n" in (cards / "card.md").read_text(encoding="utf-8")


def test_a_language_that_is_none_of_them_is_refused(checkout: Path, luodi: Callable[..., Any]) -> None:
    params = checkout / "params.yaml"
    params.write_text(f"language: cn\n{params.read_text(encoding='utf-8')}", encoding="utf-8")
    done = luodi(checkout, "params", "quick")
    assert done.returncode == 12 and "language: Input should be 'en' or 'zh', found 'cn'" in done.stderr


def test_the_index_leads_to_the_pages_of_versions_and_of_runs_that_landed_nothing(one: World) -> None:
    one.land("quick", "best")
    one.move("quick", "v1.0.0", "rollback")
    home = one.origin.home / "reports"
    for number in range(shelf.KEPT + 2):
        folder = home / "quick" / f"2026-11-{number + 1:02}T00.00.00Z-01234567"
        folder.mkdir(parents=True)
        write_text(folder / "comparison.html", card.comparison("quick", HELD))
        shelf.head(
            folder, Identity("a run of quick", "nothing landed: hold", "2026-11-01", "01234567"), "../../index.html"
        )
        shelf.put(folder, HELD, datetime(2026, 11, number + 1, tzinfo=UTC))
    write_text(home / "quick" / "comparison.html", "of an older luodi")
    shelf.tidy(home / "quick")
    kept = sorted(path.name[:10] for path in (home / "quick").iterdir())
    assert (kept[0], len(kept)) == ("2026-11-03", shelf.KEPT)
    page = shelf.index(one.origin, one.runner).read_text(encoding="utf-8")
    text = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert "quick@v1.0.1" in text and "rolled back because" in text and "production" in text
    assert page.count("hold</span>") == shelf.KEPT
    assert 'href="quick/2026-11-22T00.00.00Z-01234567/comparison.html">a run</a>' in page
    assert "the gate asks less" in page and "gate.minimum 0.8 -&gt; 0.7" in page
    held = (folder / "comparison.html").read_text(encoding="utf-8")
    assert '<a href="../../index.html">All versions</a>' in held and "nothing landed: hold" in held


@pytest.mark.slow
def test_of_a_run_that_validation_stopped_the_page_is_kept_and_the_index_leads_to_it(one: World) -> None:
    begun = time.time()
    assert delivery.stopped(one.origin, "reviews", begun, one.runner) is None
    week = [row for row in gallery.BAD_WEEK if row[2] < "week.csv, line 3"]
    gallery.validation(
        one.origin.home / "failed" / "0123456789ab-77", "reviews", {"base": gallery.texts(120), "w": week}
    )
    assert delivery.stopped(one.origin, "reviews", time.time() + 60, one.runner) is None, "of an earlier run"
    folder = delivery.stopped(one.origin, "reviews", begun, one.runner)
    assert folder and [path.name for path in folder.glob("*.html")] == ["validation.html"]
    html = (folder / "validation.html").read_text(encoding="utf-8")
    text = " ".join(re.sub("<[^>]*>", " ", html).split())
    assert re.search("stopped by validation: [^·]*Few rows are held back", text) and "commit 0123456789ab" in text
    assert "The last batch, w.csv: " in text and "in another script than the Chinese of most: Latin" in text
    again = delivery.stopped(one.origin, "reviews", begun, one.runner, "zh")
    assert again and re.search(r"被 \d 项检查拦下", (again / "validation.html").read_text(encoding="utf-8"))
    index = shelf.index(one.origin, one.runner, "zh").read_text(encoding="utf-8")
    assert "版本与运行" in index and f'href="reviews/{folder.name}/validation.html"' in index
    shown = shelf.index(one.origin, one.runner).read_text(encoding="utf-8")
    assert f'href="reviews/{folder.name}/validation.html">a run</a>' in shown and "stopped</span>" in shown


def test_a_checkout_where_nothing_was_made_says_what_to_do(checkout: Path, luodi: Callable[..., Any]) -> None:
    done = luodi(checkout, "report", "quick")
    assert done.returncode == 30, done.stderr
    assert "holds neither a validation nor an evaluation: run `dvc repro` first" in done.stderr
    assert luodi(checkout, "report", "quik").returncode == 11
    assert luodi(checkout, "report", "quick@v9.9.9").returncode == 61
