"""Pages that the api-server brings: one at a time, and what is there needs no turn."""

import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from luodi.errors import RemoteError
from luodi.project import workspace
from luodi.project.paths import ModelPaths

PAGE = ("retrain_reviews", "manual__1", "evaluation")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page is kept, and an environment in which a run returned it."""

    from luodi.airflow import pages

    outs = [{"path": ModelPaths(Path(), "reviews").evaluation_report.as_posix(), "md5": "abc"}]
    result = {"commit": "0" * 40, "entries": {"evaluate@reviews": {"outs": outs}}}
    monkeypatch.setenv("LUODI_GIT_URL", "/nowhere")
    monkeypatch.setenv("LUODI_HOME", str(tmp_path))
    monkeypatch.setattr(pages, "returned", lambda dag_id, run_id, task: result)
    return tmp_path / "pages" / "abc.html"


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What answers a request, behind a stand-in for Airflow's check of who may read, which would start all of it."""

    from luodi.airflow import pages

    security: Any = types.ModuleType("security")
    security.requires_access_dag = lambda method: lambda: None
    monkeypatch.setitem(sys.modules, "airflow.api_fastapi.core_api.security", security)
    route: Any = pages.app().routes[-1]
    return route.endpoint


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/auth/docs", "/auth/redoc", "/execution/docs", "/docs", "/luodi/docs"])
def test_no_page_of_an_api_loads_anything_from_another_host(path: str, show: Callable[..., Any]) -> None:
    """As Airflow mounts its applications, with its own setting off, and adds what the plugin has."""

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from luodi.airflow import (
        pages,
        plugin,  # here: Airflow takes seconds, in each worker of pytest
    )

    app = FastAPI(docs_url=None, redoc_url=None)
    for part in ("/auth", "/execution"):
        app.mount(part, FastAPI())
    app.mount(pages.PREFIX, pages.app())
    for one in plugin.LuodiPlugin.fastapi_root_middlewares:
        app.add_middleware(one["middleware"])
    client = TestClient(app)
    assert "https://" not in client.get(path).text
    assert client.get("/auth/openapi.json").status_code == 200


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Somebody else's page is on its way for as long as the test lasts."""

    from luodi.airflow import pages

    lock = threading.Lock()
    monkeypatch.setattr(pages, "_one_at_a_time", lock)
    lock.acquire()
    yield lock
    if lock.locked():
        lock.release()


def test_a_kept_page_waits_for_nobody(kept: Path, taken: Any) -> None:
    from luodi.airflow import pages

    kept.parent.mkdir()
    kept.write_text("<html>", encoding="utf-8")
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(pages.content, *PAGE)
        try:
            assert shown.result(timeout=10) == "<html>"
        finally:
            taken.release()


def test_a_page_is_that_of_the_project_of_its_dag(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luodi.airflow import pages

    monkeypatch.setenv("LUODI_GIT_URL", "ssh://git@example.com/one.git")
    monkeypatch.setenv("LUODI_SHOP_GIT_URL", "ssh://git@example.com/shop.git")
    other = kept.parents[1] / "projects" / "shop" / "pages" / kept.name  # of equal hash, and yet another's
    for place, text in ((kept, "<p>one"), (other, "<p>shop")):
        place.parent.mkdir(parents=True)
        place.write_text(text, encoding="utf-8")
    assert pages.content(*PAGE) == "<p>one"
    assert pages.content("shop.retrain_reviews", *PAGE[1:]) == "<p>shop"


def test_a_page_is_in_the_language_that_its_address_asks_for(kept: Path, show: Callable[..., Any]) -> None:
    from luodi.airflow import pages

    kept.parent.mkdir()
    kept.write_text('<html lang="en"><main><h2>Rows that are held back</h2></main></html>', encoding="utf-8")
    assert pages.content(*PAGE).startswith('<html lang="en">')
    told = show(*PAGE, "zh").body.decode()
    assert told.startswith('<html lang="zh-CN">') and "<h2>被隔离的行</h2>" in told
    assert '<a href="comparison?lang=zh">对比</a>' in told and '<b aria-current="page">评估</b>' in told


def test_a_turn_that_does_not_come_is_told(
    kept: Path, taken: Any, show: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi import HTTPException

    from luodi.airflow import pages

    monkeypatch.setattr(pages, "WAIT", 0.05, raising=False)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(show, *PAGE)
        try:
            with pytest.raises(HTTPException, match=r"evaluation is not there yet.*load it again") as error:
                asked.result(timeout=10)
        finally:
            taken.release()
    assert error.value.status_code == 503


def test_two_requests_bring_a_page_once_and_an_error_gives_the_turn_back(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luodi.airflow import pages

    tried = []

    def pull(path: str) -> None:
        tried.append(path)
        if len(tried) == 1:
            raise RemoteError("the remote is away")
        time.sleep(0.2)
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("<html>", encoding="utf-8")

    @contextmanager
    def clone(origin: Any, commit: str, runner: Any) -> Any:
        yield types.SimpleNamespace(root=tmp_path, lock=tmp_path / "dvc.lock", pull=pull)

    monkeypatch.setattr(workspace, "clone", clone)
    with pytest.raises(RemoteError):
        pages.content(*PAGE)
    with ThreadPoolExecutor(2) as pool:
        shown = [pool.submit(pages.content, *PAGE) for _ in range(2)]
    assert [one.result() for one in shown] == ["<html>"] * 2
    assert len(tried) == 2
