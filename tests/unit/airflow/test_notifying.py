"""Messages: sent once, by Airflow's own notifier to a real server, and never the end of a task."""

import http.server
import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from postbox import Postbox, postbox

from luodi.config import Notify

MAIL = {
    "by": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "with": {"to": ("team@example.org",), "subject": "luodi: {title}", "html_content": "{html}"},
}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Airflow keeps as variables; nothing answers for it in this process."""
    import airflow.sdk

    kept: dict[str, Any] = {}

    class Variable:
        get = staticmethod(lambda key, default, **_: kept.get(key, default))
        set = staticmethod(lambda key, value, **_: kept.update({key: value}))

    monkeypatch.setattr(airflow.sdk, "Variable", Variable)
    return kept


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    with postbox() as server:
        for name, url in server.connection.items():
            monkeypatch.setenv(name, url)
        yield server


def tell(notify: dict[str, Any] | None, key: str = "v1", what: str = "landed", title: str = "r@v1 landed") -> None:
    from airflow.sdk import DAG

    from luodi.airflow import notifying

    context: Any = {"dag": DAG("retrain_reviews", schedule=None), "run_id": "manual__1"}
    found = Notify.model_validate(notify) if notify else None
    notifying.tell(context, found, what, title, key=key, text="accuracy 0.9 {{ 7 * 7 }} <b>")


def test_one_message_is_sent_of_what_happened_however_often_it_is_told(memory: Any, post: Postbox) -> None:
    for key in ("v1", "v1", "v2", "v1"):
        tell(MAIL, key, title=f"r@{key} landed")
    assert post.subjects() == ["luodi: r@v1 landed", "luodi: r@v2 landed"]
    assert post.text("luodi: r@v1 landed").strip() == "<pre>accuracy 0.9 {{ 7 * 7 }} &lt;b&gt;</pre>"
    assert memory == {"luodi_told_landed_retrain_reviews": ["v1", "v2"]}


@pytest.mark.parametrize("notify", [None, MAIL | {"on": ("failed",)}])
def test_nothing_is_sent_that_nobody_asked_for(notify: Any, memory: Any, post: Postbox) -> None:
    tell(notify)
    assert post.messages == [] and memory == {}


def test_what_cannot_be_sent_ends_nothing_and_is_sent_by_a_retry(
    memory: Any, post: Postbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luodi.airflow import notifying

    wrong: list[tuple[dict[str, Any], str]] = [
        (MAIL | {"by": "airflow.providers.smtp.notifications.smtp.SmtpNotifyer"}, "has no attribute"),
        (MAIL | {"by": "nowhere.at.All"}, "No module named 'nowhere'"),
        (MAIL | {"with": {"recipient": "x"}}, "missing 1 required"),
    ]
    for notify, why in wrong:
        caplog.clear()
        with caplog.at_level(logging.WARNING, notifying.LOG.name):
            tell(notify)
        assert "nobody was told that r@v1 landed" in caplog.text and why in caplog.text
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patch:
        patch.setattr(notifying, "WAIT", 0.3)
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}/?disable_ssl=true&disable_tls=true&timeout=1&retry_limit=1"
        patch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", url)
        tell(MAIL)
    assert "no answer in 0.3 seconds" in caplog.text
    assert memory == {}
    tell(MAIL)
    assert post.subjects() == ["luodi: r@v1 landed"]


class Hook:
    """A notifier of a user's own: a webhook."""

    def __init__(self, url: str, body: dict[str, str]) -> None:
        self.url, self.body = url, body

    def notify(self, context: Any) -> None:
        urllib.request.urlopen(self.url, data=self.body["text"].encode(), timeout=5).close()


def test_a_notifier_of_ones_own_is_named_by_its_path(memory: Any) -> None:
    came: list[bytes] = []

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Taker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        tell({"by": f"{__name__}.Hook", "with": {"url": url, "body": {"text": "{title}: {text}"}}})
        server.shutdown()
    assert came == [b"r@v1 landed: accuracy 0.9 {{ 7 * 7 }} <b>"]
