"""Tell people what came of a run, by a notifier of Airflow's providers or of a user's own; off without `notify`.

What it says comes from data too: it is filled in as it stands, and no template is rendered.
"""

import html
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from luodi.airflow import pages
from luodi.config import Notify
from luodi.terminal import shown

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST = 5000  # characters of a text
TITLE = 200
WAIT = 60  # seconds in which a message is sent, or given up: no task waits for a server that hangs
REMEMBERED = 50  # messages that are not sent again, of each kind
PLACES = re.compile(r"\{(title|text|html)\}")
LOG = logging.getLogger(__name__)


def tell(context: "Context", notify: Notify | None, what: str, title: str, *, key: str, text: str = "") -> None:
    """Send a message, unless it is not asked for, or was sent before; one that cannot be sent fails no task.

    Args:
        what: One of `Notify.on`.
        key: Names what happened: of one key of a DAG, one message is sent, however often a task is tried.
    """
    if notify is None or what not in notify.on:
        return
    from airflow.sdk import Variable

    title, memory = shown(title, TITLE), f"luodi_told_{what}_{context['dag'].dag_id}"
    try:
        told = Variable.get(memory, default=[], deserialize_json=True)
        if key in told:
            return
        _send(context, notify, title, text)
        Variable.set(memory, [*told, key][-REMEMBERED:], serialize_json=True)
    except Exception as error:  # of whatever the notifier is
        LOG.warning("nobody was told that %s, by %s: %s: %s", title, notify.by, type(error).__name__, error)
    else:
        LOG.info("told by %s: %s", notify.by, title)


def landed(context: "Context", notify: Notify | None, result: Mapping[str, Any]) -> None:
    """Tell of a new version, with its figures; `result` is what `register` returns."""
    figures = [f"{name} {figure['value']}" for name, figure in result["metrics"]["model"].items()]
    text = "\n".join([*figures, *result["reasons"], *_pages(context)])
    tell(context, notify, "landed", f"{result['version']} landed", key=result["version"], text=text)


def held(context: "Context", notify: Notify | None, model: str, why: Sequence[str]) -> None:
    """Tell that a run landed nothing: why, its first word the verdict."""
    text = "\n".join([*map(shown, why), *_pages(context)])
    tell(context, notify, "held", f"{model}: nothing landed: {shown(why[0])}", key=context["run_id"], text=text)


def _pages(context: "Context") -> list[str]:
    return [pages.link(context["dag"].dag_id, context["run_id"], page) for page in ("evaluation", "comparison")]


def failed(model: str, notify: Notify, context: "Context") -> None:
    """Tell that a run failed: what Airflow calls then, once, whatever ended its tasks."""
    task = context.get("ti")
    dag, run = context["dag"].dag_id, context["run_id"]
    where = f" in {task.task_id}" if task else ""
    text = f"The run {run} of {dag} failed{where}."
    if task:
        text += f"\nIts log: {task.log_url}"
    key = f"{run} {getattr(task, 'try_number', '')}"
    tell(context, notify, "failed", f"{model}: {dag} failed{where}", key=key, text=text)


def _send(context: "Context", notify: Notify, title: str, text: str) -> None:
    """Raise whatever the notifier raises, and TimeoutError where it takes too long."""
    text = text[:LONGEST]
    values = {"title": title, "text": text or title, "html": f"<pre>{html.escape(text or title)}</pre>"}
    module, _, name = notify.by.rpartition(".")
    notifier = getattr(import_module(module), name)(**_filled(dict(notify.with_), values))
    raised: list[Exception] = []

    def send() -> None:
        try:
            notifier.notify(context)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(WAIT)
    if thread.is_alive():
        raise TimeoutError(f"no answer in {WAIT} seconds")
    if raised:
        raise raised[0]


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, values) for one in value]
    return PLACES.sub(lambda found: values[found[1]], value) if isinstance(value, str) else value
