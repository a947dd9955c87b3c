"""Where nothing happens: told by what the origin has, and once for each silence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from project import Project

from luodi.config import Notify
from luodi.local import embedded
from luodi.registry import arriving, silence
from luodi.system.processes import Runner

pytestmark = pytest.mark.slow
QUIET = Runner(lambda line: None)
LONG_AGO = {"GIT_COMMITTER_DATE": "2024-05-01T12:00:00Z", "GIT_AUTHOR_DATE": "2024-05-01T12:00:00Z"}


def test_a_silence_is_since_what_happened_last_and_ends_with_what_happens(
    make_project: Callable[[str], Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luodi.airflow import watching
    from luodi.airflow.operators import Job
    from luodi.airflow.trigger import Trigger

    project = make_project("silent")
    first = project.git("rev-list", "--max-parents=0", "HEAD").strip()
    tree = project.git("rev-parse", "HEAD^{tree}").strip()
    project.run(
        "git", "reset", "--quiet", "--hard", project.run("git", "commit-tree", tree, "-m", first, env=LONG_AGO).strip()
    )
    for name, value in (project.env | project.origin.environment()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(Path(arriving.__file__).parents[2]))
    origin, commit = embedded.prepare(project.root, QUIET)
    embedded.advance(origin, commit, QUIET)
    notify = Notify.model_validate({"by": "a.B", "silence": {"ingested": 7, "landed": 30}})
    task = watching.WatchOperator(task_id="watch", model="reviews", notify=notify)
    job = Job(origin, commit, {}, QUIET, Trigger())
    found = task.attempt(job)["silent"]
    assert {what: at[:10] for what, (_, at) in found.items()} == {"ingested": "2024-05-01", "landed": "2024-05-01"}
    assert task.attempt(job)["silent"] == found
    project.run("git", "commit", "--quiet", "--allow-empty", "--message", "Of something else")
    (batch := tmp_path / "a.csv").write_text("text,label\n" + "".join(f"很好{n},positive\n" for n in range(9)))
    arriving.land(origin, "reviews", batch, QUIET)
    assert [*task.attempt(job)["silent"]] == ["landed"]
    assert silence.landed(origin, "reviews", QUIET) is None
