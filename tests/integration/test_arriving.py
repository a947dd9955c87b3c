"""Files of an inbox on their way to the origin: each row lands once, whatever ends it and whoever pushes meanwhile."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from project import Done, Project

from luodi.config import Ingest
from luodi.data import shards
from luodi.errors import BrokenData, UnknownKey
from luodi.files import checksum
from luodi.local import arrived, embedded
from luodi.project import dvc_store, programs, workspace
from luodi.project.origin import Origin
from luodi.registry import arriving, last_judged, promotion
from luodi.system.processes import CommandFailed, Runner

pytestmark = pytest.mark.slow
QUIET = Runner(lambda line: None)


@pytest.fixture(scope="module")
def project(make_project: Callable[[str], Project]) -> Iterator[Project]:
    """A project at its embedded origin, and this process at work in it."""
    found = make_project("inbox")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (found.env | found.origin.environment()).items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(Path(arriving.__file__).parents[2]))
        origin, commit = embedded.prepare(found.root, QUIET)
        embedded.advance(origin, commit, QUIET)
        yield found


def write(path: Path, start: int, stop: int) -> Path:
    rows = [f"第{number}个房间真的很不错,positive" for number in range(start, stop)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


def texts(project: Project) -> list[str]:
    """The texts of the model at the head of the origin."""
    head = programs.head(project.origin, QUIET)
    with workspace.clone(project.origin, head, QUIET) as clone:
        clone.pull("data")
        return [str(text) for text in shards.read(clone.root / "data" / "reviews", "text")["text"].to_pylist()]


def count(project: Project, start: int, stop: int) -> list[int]:
    found = texts(project)
    return [found.count(f"第{number}个房间真的很不错") for number in range(start, stop)]


def test_files_of_an_inbox_land_once_and_are_put_aside(project: Project, tmp_path: Path) -> None:
    from luodi.airflow import inbox
    from luodi.airflow.operators import Job
    from luodi.airflow.trigger import Trigger

    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.csv", 0, 30)
    (folder / "bad.csv").write_text('text,label\n"好', encoding="utf-8")
    write(folder / "c.csv", 20, 40)
    for path in folder.iterdir():
        os.utime(path, (time.time() - 60,) * 2)
    write(folder / "half.csv", 40, 50)
    task = inbox.IngestOperator(task_id="ingest", model="reviews", ingest=Ingest(inbox=str(folder)))
    head = programs.head(project.origin, QUIET)
    found = task.attempt(Job(project.origin, head, {}, QUIET, Trigger()))["files"]
    assert [(one["name"], one["rows"]) for one in found] == [("a.csv", 30), ("bad.csv", 0), ("c.csv", 10)]
    assert count(project, 0, 50) == [1] * 40 + [0] * 10
    assert last_judged.last(project.origin, "reviews", QUIET) is None
    assert found[2]["waiting"] == found[0]["waiting"] + 10 == len(texts(project))
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert there == ["done/a.csv", "done/c.csv", "half.csv", "refused/bad.csv", "refused/bad.csv.txt"]
    why = "bad.csv, line 2: a quote opens in the last row and is never closed; correct that line"
    assert (folder / "refused" / "bad.csv.txt").read_text().strip() == found[1]["refused"] == why
    assert inbox.said(found) == f"40 new rows of 3 files; bad.csv refused: {why}"
    log = project.bare("log", "--format=%s", "main", "-2").splitlines()
    assert log == ["Ingest into reviews: c.csv", "Ingest into reviews: a.csv"]
    assert (
        "nothing new in again.csv"
        in arriving.land(project.origin, "reviews", write(tmp_path / "again.csv", 0, 40), QUIET).said
    )
    assert programs.head(project.origin, QUIET) == project.bare("rev-parse", "main")


class Overtaken(Runner):
    """Lets somebody else push before the first push of data."""

    def __init__(self, other: Callable[[], object]) -> None:
        super().__init__(lambda line: None)
        self.other: Callable[[], object] | None = other

    def run(self, *command: str, **more: Any) -> str:
        if command[:2] == ("git", "push") and self.other:
            other, self.other = self.other, None
            other()
        return super().run(*command, **more)


def test_a_batch_that_another_one_overtook_is_done_anew_on_it(project: Project, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", 100, 110), write(tmp_path / "b.csv", 105, 115)
    overtaken = Overtaken(lambda: arriving.land(project.origin, "reviews", b, QUIET))
    assert arriving.land(project.origin, "reviews", a, overtaken).rows == 5
    assert count(project, 100, 115) == [1] * 15


@pytest.mark.parametrize("turns", [1, pytest.param(50, marks=[pytest.mark.proof, pytest.mark.timeout(14_400)])])
def test_two_ingests_and_a_landing_at_once_each_do_what_they_would_alone(
    ready: Done, turns: int, tmp_path: Path
) -> None:
    """Of rows that both files have too: none is lost, none is there twice, and one version lands each time."""
    project, commit = ready.project, ready.project.bare("rev-parse", "main")
    for turn in range(turns):
        start = 10_000 + 30 * turn
        files = [write(tmp_path / "a.csv", start, start + 20), write(tmp_path / "b.csv", start + 10, start + 30)]
        with ThreadPoolExecutor(3) as pool:
            came = [pool.submit(arriving.land, project.origin, "reviews", file, QUIET) for file in files]
            landing = pool.submit(promotion.register, project.origin, commit, "reviews", ready.entries, QUIET)
        assert sum(one.result().rows for one in came) == 30
        assert landing.result().new and len(project.versions()) == 1 and project.landed() == ready.entries
        unregister(project)
    everything = Counter(texts(project))
    assert [everything[f"第{number}个房间真的很不错"] for number in range(10_000, start + 30)] == [1] * 30 * turns


def unregister(project: Project) -> None:
    """Have the origin as if nothing had landed, but for rows that came."""
    for ref in project.bare("for-each-ref", "--format=%(refname)").splitlines():
        if not ref.startswith("refs/heads/"):
            project.bare("update-ref", "-d", ref)
    index = {"GIT_DIR": project.origin.git, "GIT_INDEX_FILE": str(project.home / "index")}
    for command in (("read-tree", "main"), ("rm", "--cached", "--quiet", "dvc.lock")):
        project.run("git", *command, env=index)
    tree = project.run("git", "write-tree", env=index).strip()
    project.bare("update-ref", "refs/heads/main", project.bare("commit-tree", tree, "-p", "main", "-m", "Unregister"))


def test_a_model_that_is_not_there_refuses_no_file(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        arriving.land(project.origin, "review", write(tmp_path / "a.csv", 0, 3), QUIET)
    assert caught.value.code == UnknownKey.exit_code


def test_what_came_in_stays_beside_what_a_checkout_records(project: Project, tmp_path: Path) -> None:
    """And what a commit of its own takes out again stays out."""
    arriving.land(project.origin, "reviews", write(tmp_path / "s.csv", 500, 503), QUIET)
    own = project.copy("beside")
    origin, there = Origin.embedded(own.root), set(texts(project))
    shard = next((own.root / "data" / "reviews").glob("*.parquet"))
    rows = pq.read_table(shard).slice(0, 1)
    more = rows.set_column(rows.schema.get_field_index("text"), "text", [["只在这里的一句话"]])
    pq.write_table(more, shard.with_name("mine.parquet"))
    own.run("dvc", "add", "--quiet", "data")
    own.git("commit", "--quiet", "--all", "--message", "Mine")
    _, commit = embedded.prepare(own.root, QUIET)
    embedded.advance(origin, commit, QUIET)
    assert {*texts(own)} == there | {"只在这里的一句话"}
    brought = arrived.bring(own.root, origin, QUIET)
    assert brought and arrived.bring(own.root, origin, QUIET) == []
    assert own.run("dvc", "status", "data.dvc").strip().endswith("up to date.")
    recorded = (own.root / "data.dvc").read_text()
    assert project_pointer(own) in recorded
    own.git("commit", "--quiet", "--all", "--message", "Take in rows")
    for path in brought:
        (own.root / "data" / path).unlink()
    own.run("dvc", "add", "--quiet", "data")
    own.git("commit", "--quiet", "--all", "--message", "Without them")
    _, commit = embedded.prepare(own.root, QUIET)
    embedded.advance(origin, commit, QUIET)
    assert not {text for text in texts(own) if text.startswith("第500个")}


def test_an_inbox_brings_the_rows_of_its_own_model_alone(project: Project, tmp_path: Path) -> None:
    own = project.copy("of-two")
    shard = next((own.root / "data" / "reviews").glob("*.parquet"))
    (other := own.root / "data" / "other").mkdir()
    pq.write_table(pq.read_table(shard).slice(0, 7), other / "part-00000.parquet")
    own.run("dvc", "add", "--quiet", "data")
    own.git("commit", "--quiet", "--all", "--message", "Another model's rows")
    origin, commit = embedded.prepare(own.root, QUIET)
    embedded.advance(origin, commit, QUIET)
    shutil.rmtree(origin.home / "cache")
    before = len(texts(own))
    shutil.rmtree(origin.home / "cache")
    assert arriving.land(origin, "reviews", write(tmp_path / "t.csv", 700, 705), QUIET).rows == 5
    md5 = checksum(other / "part-00000.parquet")
    assert dvc_store.lacks(origin.home / "cache", md5)
    with workspace.clone(origin, programs.head(origin, QUIET), QUIET) as clone:
        assert clone.recorded("data/other") == {"part-00000.parquet": md5}
    assert len(texts(own)) == before + 5
    assert arriving.land(origin, "reviews", write(tmp_path / "u.csv", 702, 707), QUIET).rows == 2
    assert not dvc_store.lacks(origin.home / "cache", md5), "texts brought all"


def project_pointer(project: Project) -> str:
    """The MD5 of data/ at the head of the origin."""
    pointer = project.bare("show", "main:data.dvc")
    return next(line.split()[-1] for line in pointer.splitlines() if "md5:" in line)


def test_what_cannot_be_used_is_put_aside_and_keeps_nothing_else_from_landing(project: Project, tmp_path: Path) -> None:
    from luodi.airflow import inbox
    from luodi.airflow.operators import Job
    from luodi.airflow.trigger import Trigger

    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "away.csv").symlink_to(tmp_path / "nowhere.csv")
    (folder / "empty.csv").touch()
    (folder / "folder.csv").mkdir()
    (folder / "no columns.csv").write_text("name,price\nroom,3\nbed,5\n", encoding="utf-8")
    (folder / "other case.csv").write_text(
        "text,label\n" + "".join(f"第{n}间也不错,POSITIVE\n" for n in range(20)), encoding="utf-8"
    )
    write(folder / "zz.csv", 300, 320)
    for path in folder.iterdir():
        os.utime(path, (time.time() - 60,) * 2, follow_symlinks=False)
    task = inbox.IngestOperator(task_id="ingest", model="reviews", ingest=Ingest(inbox=str(folder)))
    head = programs.head(project.origin, QUIET)
    found = {
        one["name"]: one["refused"] for one in task.attempt(Job(project.origin, head, {}, QUIET, Trigger()))["files"]
    }
    for name, why in found.items():
        print(name, "|", why)
    assert [name for name, why in found.items() if why is None] == ["zz.csv"]
    assert count(project, 300, 320) == [1] * 20


def test_rows_that_were_forgotten_come_back_by_no_union(make_project: Callable[[str], Project], tmp_path: Path) -> None:
    """The inbox does not know yet what a checkout forgot: a run says so, and the same command takes them out again."""
    from luodi.scaffold import forgetting, ingesting

    project = make_project("forgetful")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (project.env | project.origin.environment()).items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(Path(arriving.__file__).parents[2]))
        origin, commit = embedded.prepare(project.root, QUIET)
        embedded.advance(origin, commit, QUIET)
        gone = texts(project)[7]
        (sheet := tmp_path / "gone.csv").write_text(f'text\n"{gone}"\n', encoding="utf-8")
        assert forgetting.forget(project.root, "reviews", sheet, QUIET).rows >= 1
        project.git("commit", "--quiet", "--all", "--message", "Forget")
        came = write(tmp_path / "came.csv", 0, 9)
        came.write_text(came.read_text(encoding="utf-8") + f'"{gone}",positive\n', encoding="utf-8")
        arriving.land(origin, "reviews", came, QUIET)
        origin, commit = embedded.prepare(project.root, QUIET)
        with pytest.raises(BrokenData, match="1 rows that were forgotten came in again"):
            embedded.advance(origin, commit, QUIET)
        assert len(arrived.bring(project.root, origin, QUIET)) == 2  # rows, and the record of them
        assert forgetting.forget(project.root, "reviews", None, QUIET).rows == 1
        project.git("commit", "--quiet", "--all", "--message", "Forget again")
        origin, commit = embedded.prepare(project.root, QUIET)
        embedded.advance(origin, commit, QUIET)  # what came stays, what held the row is gone
        assert gone not in texts(project) and count(project, 0, 9) == [1] * 9
        assert "stay out" in arriving.land(origin, "reviews", came, QUIET).said
        assert gone not in texts(project) and count(project, 0, 9) == [1] * 9
        ingesting.ingest(project.root, "reviews", [came], QUIET, again=True)  # by one who asks for it
        project.git("commit", "--quiet", "--all", "--message", "Take it in again")
        arriving.land(origin, "reviews", write(tmp_path / "more.csv", 9, 12), QUIET)
        origin, commit = embedded.prepare(project.root, QUIET)
        embedded.advance(origin, commit, QUIET)
        assert texts(project).count(gone) == 1 and count(project, 0, 12) == [1] * 12
        assert "nothing new" in arriving.land(origin, "reviews", came, QUIET).said
