"""Networks, expectations and metrics of a user's own: found, run, counted as settings, and named where they fail."""

import importlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from project import ROOT
from typer.testing import CliRunner

from luodi import config
from luodi.cli.commands import app
from luodi.cli.stages import run_stage
from luodi.config import locked, user_code
from luodi.data import image, text
from luodi.errors import DirtyCheckout, ParamsError, StaleProject, UserCodeFailed, ValidationFailed, WrongValue
from luodi.project.paths import ModelPaths
from luodi.scaffold import init, pipeline
from luodi.scaffold.upgrade import upgrade
from luodi.scoring import figures, metrics
from luodi.scoring.scored import Scored
from luodi.stages import validate
from luodi.system import lazy
from luodi.system.processes import Runner

NETS = '''
"""Networks of our own."""
import keras
from width import WIDTH


def wide(settings, encoder):
    x = keras.Input(encoder.shape, dtype=encoder.dtype, name="x")
    flat = keras.layers.Dense(WIDTH)(keras.ops.cast(x, "float32"))
    return keras.Model(x, keras.layers.Dense(len(encoder.labels), activation="softmax", name="probabilities")(flat))


def broken(settings, encoder):
    raise ValueError("no such width")


def narrow(settings, encoder):
    whole = wide(settings, encoder)
    return keras.Model(whole.input, whole.layers[-2].output)


def nothing(settings, encoder):
    pass
'''
CHECKS = """
from great_expectations import expectations as gx
from luodi.checks.suite import WARNING, never


def ours(settings):
    return [
        gx.ExpectColumnValuesToNotMatchRegex(column="text", regex="http", severity="critical", description="no links"),
        never(WARNING, "No text is blank", "every text shows a character", "text is blank"),
    ]


def astray(settings):
    return [gx.ExpectColumnValuesToNotMatchRegex(column="txt", regex="http", severity="warning")]


def nothing(settings):
    pass
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model, and modules of its own that nothing names yet. Do not change it: work in a copy."""
    folder = tmp_path_factory.mktemp("made") / "project"
    init.init(folder, Runner(lambda line: None))
    (folder / "nets.py").write_text(NETS)
    (folder / "width.py").write_text("WIDTH = 7\n")
    (folder / "ourchecks.py").write_text(CHECKS)
    (folder / "data" / "hotels").mkdir(parents=True)
    texts = [f"text number {number}" for number in range(200)]
    table = pa.table({"text": texts, "label": ["a", "b"] * 100, "source": ["us"] * 200})
    pq.write_table(table, folder / "data" / "hotels" / "part.parquet")
    return folder


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of one's own, in which this process works."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    with user_code.importable(folder):
        yield folder


def write(root: Path, **parts: object) -> config.ModelSettings:
    block = {"modality": "text", "labels": ["a", "b"], **parts}
    (root / "params.yaml").write_text(yaml.safe_dump({"models": {"hotels": block}}))
    return config.load(root / "params.yaml").models["hotels"]


def held(root: Path, part: str, setting: str) -> object:
    """What params.lock would hold of a setting."""
    return locked.effective(root, config.load(root / "params.yaml"))["models"]["hotels"][part][setting]


def test_a_module_that_waits_for_its_first_use_is_not_loaded_by_the_look_at_what_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [lazy.WhenUsed("email.mime.audio"), *sys.meta_path])
    with user_code.importable(tmp_path):
        sys.modules.pop("email.mime.audio", None)
        importlib.import_module("email.mime.audio")
    assert "MIMEAudio" not in object.__getattribute__(sys.modules["email.mime.audio"], "__dict__")


@pytest.mark.slow
def test_a_change_of_the_code_is_a_change_of_the_settings_and_a_comment_is_none(root: Path) -> None:
    write(root)
    assert held(root, "train", "architecture") == "ngram"
    write(root, train={"architecture": "nets:wide"})
    first = held(root, "train", "architecture")
    assert re.fullmatch("nets:wide [0-9a-f]{32}", str(first))
    (root / "nets.py").write_text(NETS.replace("Networks of our own", "Ours") + "# a comment\n")
    assert held(root, "train", "architecture") == first
    (root / "width.py").write_text("WIDTH = 8\n")  # what it imports counts too
    assert held(root, "train", "architecture") != first


def test_files_that_the_code_names_count_with_it(root: Path) -> None:
    """A rule that reads banned.txt is another one when that file is: a commit of it alone has to rerun what uses it."""
    block = write(root, validate={"expectations": ["ourchecks:ours"]})
    without = held(root, "validate", "expectations")
    assert user_code.files(block, root) == {"ourchecks.py"}
    (root / "lists").mkdir()
    code = 'WORDS = [*open("lists/banned.txt"), *open("costs.csv")]\nSTAGES, LONG = open("dvc.yaml"), "a" * 9 + "\\0"\n'
    (root / "ourchecks.py").write_text(CHECKS + code)
    (root / "lists" / "banned.txt").write_text("money\n")
    (root / "costs.csv").write_text("1\n")
    assert user_code.files(block, root) == {"ourchecks.py", "lists/banned.txt", "costs.csv"}
    before = held(root, "validate", "expectations")
    assert before not in (without, held(root, "train", "architecture"))
    (root / "lists" / "banned.txt").write_text("money\nlottery\n")
    assert held(root, "validate", "expectations") != before


@pytest.mark.parametrize("name", ["own.py", "words.txt", "params.yaml"])
def test_a_link_that_leads_out_of_the_project_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    """A commit holds where it leads, not what is there: what ran was in no commit, and a change of it none."""
    (root / "own.py").write_text("def ours(settings):\n    return open('words.txt')\n")
    (root / "words.txt").write_text("one")
    block = write(root, validate={"expectations": ["own:ours"]})
    (root / "below").mkdir()
    for folder in (root / "below", tmp_path):
        (root / name).rename(folder / name)
        (root / name).symlink_to(folder / name)
        if folder != tmp_path:  # a link within the project is one that git holds with what it leads to
            assert user_code.effective(block, root)
            config.load(root / "params.yaml")
            (root / name).resolve().rename(root / name)
    with pytest.raises(ParamsError, match=rf"{name} is a link that leads out of the project, .* put the file itself"):
        user_code.effective(config.load(root / "params.yaml").models["hotels"], root)


def test_every_setting_that_names_code_holds_a_digest(root: Path) -> None:
    named = {"validate": {"expectations": ["ourchecks:ours"]}, "gate": {"metric": "width:cost"}}
    write(root, **named)
    assert re.fullmatch(r"\['ourchecks:ours [0-9a-f]{32}'\]", str(held(root, "validate", "expectations")))
    assert re.fullmatch("width:cost [0-9a-f]{32}", str(held(root, "gate", "metric")))


def test_modules_of_one_project_are_not_those_of_the_next(root: Path, tmp_path: Path) -> None:
    """A process that judges models of two commits runs the code of each; what is installed stays."""
    found = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / "sums").mkdir(parents=True)
        (folder / "sums" / "__init__.py").write_text(
            f"from sums.part import ADDED\ndef total(): return {number} + ADDED"
        )
        (folder / "sums" / "part.py").write_text(f"ADDED = {number}0")
        with user_code.importable(folder):
            found.append(user_code.load("sums:total")())
            user_code.load("yaml.nodes:Node")
    assert found == [11, 22]
    assert not {"sums", "sums.part"} & sys.modules.keys()
    assert "yaml.nodes" in sys.modules
    assert str(folder) not in sys.path


@pytest.mark.slow
def test_what_readme_shows_works(root: Path) -> None:
    """Its modules are put into a project; each object does what its setting asks for."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for part in re.split(r"^# (?=\w+\.py$)", readme.partition("```python\n")[2].partition("```")[0], flags=re.M)[1:]:
        name, _, code = part.partition("\n")
        (root / name).write_text(code)
    sys.modules.pop("nets", None)
    lines = re.findall(r"`(\w+: \{\w+: [^`]+\})`", readme.partition("### Use a network")[2].partition("\n### ")[0])
    block = write(root, **{name: value for line in lines for name, value in yaml.safe_load(line).items()})
    assert (block.train.architecture, block.validate_.expectations) == ("nets:wide", ("rules:links",))
    texts = text.Encoder(("a", "b"), "char", 12, 16, (), tuple("cdef"))
    for encoder, row in (
        (texts, texts.encode(["cd"])),
        (image.Encoder(("a", "b"), 8, 6, 3, (0.5,) * 3, (0.5,) * 3), np.zeros((1, 8, 6, 3))),
    ):
        model = user_code.load("nets:wide")(block.train, encoder)
        assert model.predict(row, verbose=0).shape == (1, 2), encoder.modality
    assert [one.severity for one in user_code.load("rules:links")(block)] == ["warning"]
    found = metrics.beside(block.gate.metric)
    assert list(found) == [*metrics.METRICS, "costs:cost_saved"]
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    data = Scored(np.array([0, 0, 1, 1]), scores)  # one mistake that costs 1, one that costs 5
    assert figures.point(data, found)["costs:cost_saved"] == pytest.approx(1 - 6 / 4 / 5)


@pytest.mark.slow
def test_the_stage_settings_depends_on_the_files(root: Path) -> None:
    """Or `dvc repro` would not notice that they changed."""
    write(root, train={"architecture": "nets:wide"}, validate={"expectations": ["ourchecks:ours"]})
    done = CliRunner().invoke(app, ["settings"])
    assert isinstance(done.exception, StaleProject)
    assert "names what is in nets.py, ourchecks.py, width.py" in str(done.exception)
    upgrade(root)
    assert pipeline.load(pipeline.read(root), "dvc.yaml")["stages"]["settings"]["deps"] == [
        "params.yaml", "nets.py", "ourchecks.py", "width.py",
    ]  # fmt: skip
    assert CliRunner().invoke(app, ["settings"]).exit_code == 0
    upgrade(root)  # once is enough
    assert pipeline.read(root).count("width.py") == 1
    write(root, validate={"expectations": ["ourchecks:ours"]})
    (root / "nets.py").unlink()  # DVC would run nothing that depends on it
    upgrade(root)
    assert pipeline.load(pipeline.read(root), "dvc.yaml")["stages"]["settings"]["deps"] == [
        "params.yaml", "ourchecks.py", "width.py",
    ]  # fmt: skip


def test_the_own_network_is_built_and_its_failure_names_the_line(root: Path) -> None:
    from luodi.data import modality
    from luodi.nets import catalogue

    block = write(root, train={"architecture": "nets:wide"})
    encoder = modality.of("text").read_encoder(
        {"labels": ["a", "b"], "tokenizer": "ngram", "max_length": 3, "buckets": 8, "stop_words": [], "vocabulary": []}
    )
    model = catalogue.build(block, encoder)
    assert 7 in [getattr(layer, "units", None) for layer in model.layers]
    assert catalogue.as_float32(model.get_weights(), block, encoder).count_params() == model.count_params()
    block = write(root, train={"architecture": "nets:broken"})
    with pytest.raises(UserCodeFailed, match=r"nets:broken.* fails \(nets.py, line 14\): ValueError: no such width"):
        catalogue.build(block, encoder)
    for name, told in {
        "narrow": r"ValueError: expected an output of shape \(None, 2\), a share a label, found \(None, 7\)",
        "nothing": "TypeError: expected a keras.Model, found NoneType",
        "tall": r"nets:tall, which params.yaml names, fails: AttributeError",  # not in luodi's nets/catalogue.py
    }.items():
        with pytest.raises(UserCodeFailed, match=told) as caught:
            catalogue.build(write(root, train={"architecture": f"nets:{name}"}), encoder)
        assert "catalogue.py" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("astray", r"of your own, cannot be checked: .*txt.*; the columns are text, label"),
        ("nothing", "expected a list of Great Expectations' expectations, found None"),
    ],
)
def test_expectations_that_check_nothing_are_no_warning(root: Path, name: str, told: str) -> None:
    block = write(root, validate={"expectations": [f"ourchecks:{name}"], "min_rows": 10})
    with pytest.raises(UserCodeFailed, match=told):
        validate.run(block, ModelPaths(root, "hotels"))


@pytest.mark.slow
def test_own_expectations_are_run_and_shown_with_the_rest(root: Path) -> None:
    block = write(root, validate={"expectations": ["ourchecks:ours"], "min_rows": 10})
    paths = ModelPaths(root, "hotels")
    validate.run(block, paths)
    page = paths.validation_report.read_text(encoding="utf-8")
    assert "no links" in page
    shard = root / "data" / "hotels" / "part.parquet"
    rows = pq.read_table(shard)
    bad = pa.table({"text": ["see http://example.org"], "label": ["a"], "source": ["us"]})
    pq.write_table(pa.concat_tables([rows, bad]), shard)
    with pytest.raises(Exception, match="expected no links; found 1 row"):
        validate.run(block, paths)


MEDDLING = r"""
import shutil
from luodi.checks.suite import WARNING, never
from pathlib import Path
from luodi import config
from luodi.config import locked


def came():
    shutil.copy("data/hotels/part.parquet", "data/hotels/more.parquet")


def came_and_went():
    came()
    Path("data/hotels/more.parquet").unlink()


def settings():
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("min_rows: 10", "min_rows: 11"))
    locked.write(Path())


def nothing_that_it_reads():
    params = Path("params.yaml")
    params.write_text(params.read_text() + "# for the next run\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("came", "data/hotels changed while validate of hotels ran"),
        ("came_and_went", "data/hotels changed while validate of hotels ran"),
        ("settings", r"params\.lock:models\.hotels\.validate changed while validate"),
        ("nothing_that_it_reads", None),
    ],
)
def test_what_a_stage_reads_may_not_change_until_it_ends(root: Path, what: str, told: str | None) -> None:
    """DVC records what it finds then: it said that settings were used, and rows read, that never were."""
    own = f"def ours(_):\n    {what}()\n    return [never(WARNING, 'No text is blank', 'words', 'text is blank')]\n"
    (root / "meddling.py").write_text(f"{MEDDLING}\n\n{own}")
    write(root, validate={"expectations": ["meddling:ours"], "min_rows": 10})
    locked.write(root)
    with pytest.raises(DirtyCheckout, match=told) if told else nullcontext():
        run_stage("validate", "hotels")


@pytest.mark.parametrize("name", ["words.txt", "banned.py", "sub.py"])
def test_code_that_was_edited_before_its_use_is_not_what_was_recorded(root: Path, name: str) -> None:
    (root / "words.txt").write_text("one")
    (root / "sub.py").write_text("LIMIT = 1\n")
    (root / "banned.py").write_text(
        "import sub\nfrom pathlib import Path\n\n\ndef words():\n    return Path('words.txt').read_text()\n"
    )
    block = write(root, validate={"expectations": ["banned:words"]})
    files = user_code.files(block, root)

    def edit(name: str) -> None:
        (root / name).write_text((root / name).read_text() + "# edited\n")

    assert files == {"banned.py", "sub.py", "words.txt"}
    with user_code.importable(root, files), user_code.running("banned:words"):
        assert user_code.load("banned:words")() == "one"
        edit("banned.py")  # for the next run: it is imported already
    with user_code.importable(root, files):
        edit(name)
        with pytest.raises(DirtyCheckout, match=f"{name} changed between"), user_code.running("banned:words"):
            user_code.load("banned:words")()


def suite(root: Path, *expectations: Any, name: str = "links") -> str:
    """Write a suite as Great Expectations' own tools do."""
    import great_expectations as gx

    written = gx.ExpectationSuite(name=name, expectations=list(expectations)).to_json_dict()
    (root / f"{name}.json").write_text(json.dumps(written))
    return f"{name}.json"


def no_links(**more: object) -> Any:
    import great_expectations as gx

    return gx.expectations.ExpectColumnValuesToNotMatchRegex(column="text", regex="http", **more)


@pytest.mark.slow
def test_a_suite_of_great_expectations_is_run_and_given_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from great_expectations import ExpectationSuite

    block = write(root, validate={"expectations": [suite(root, no_links(meta={"title": "of ours"}))], "min_rows": 10})
    paths = ModelPaths(root, "hotels")
    validate.run(block, paths)
    given = json.loads((paths.data_docs / "suite.json").read_text(encoding="utf-8"))
    result = json.loads(paths.validation_result.read_text(encoding="utf-8"))
    assert len(ExpectationSuite(**given).expectations) == len(result["results"])
    assert given["expectations"][-1]["kwargs"] == {"column": "text", "regex": "http"}
    shard = root / "data" / "hotels" / "part.parquet"
    bad = pa.table({"text": ["see http://example.org"], "label": ["a"], "source": ["us"]})
    pq.write_table(pa.concat_tables([pq.read_table(shard), bad]), shard)
    with pytest.raises(ValidationFailed, match=r"expected column text, regex http; found 1 row"):
        validate.run(block, paths)
    suite(root, no_links(severity="warning"))
    validate.run(block, paths)
    said, warning = capsys.readouterr().out.splitlines()[-2:]
    assert said.startswith("hotels: passed with warnings")
    assert warning == "  warning: Expect column values to not match regex: found 1 row (0.5%)"


def test_what_a_suite_asks_for_counts_as_a_setting(root: Path) -> None:
    block = write(root, validate={"expectations": [suite(root, no_links())]})
    first = held(root, "validate", "expectations")
    assert re.fullmatch(r"\['links.json [0-9a-f]{32}'\]", str(first))
    suite(root, no_links(meta={"author": "us"}))
    assert held(root, "validate", "expectations") == first
    suite(root, no_links(severity="warning"))
    assert held(root, "validate", "expectations") != first
    assert user_code.files(block, root) == {"links.json"}


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"expectations": []}', '{"expectations": [{"expectation_type": "x"}]}']
)
def test_a_file_that_is_no_suite_is_refused(root: Path, content: str) -> None:
    (root / "links.json").write_text(content)
    write(root, validate={"expectations": ["links.json"]})
    with pytest.raises(ParamsError, match=r"links.json, and it holds no expectations: expected what .* gives"):
        locked.write(root)


@pytest.mark.parametrize("name", ["away.json", "../project.json"])
def test_a_suite_that_is_not_in_the_project_is_refused(root: Path, name: str) -> None:
    suite(root.parent, no_links(), name="project")
    write(root, validate={"expectations": [name]})
    with pytest.raises(ParamsError, match="there is no such file in"):
        locked.write(root)


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ("expect_nothing not found", {"type": "expect_nothing", "kwargs": {}}),
        ("field required", {"type": "expect_column_values_to_not_be_null", "kwargs": {}}),
    ],
)
def test_an_expectation_that_is_none_is_named(root: Path, told: str, wrong: dict[str, object]) -> None:
    (root / "links.json").write_text(json.dumps({"name": "links", "expectations": [wrong]}))
    block = write(root, validate={"expectations": ["links.json"], "min_rows": 10})
    with pytest.raises(UserCodeFailed, match=rf"links.json, which params.yaml names, fails: \w+: (?s:.*){told}"):
        validate.run(block, ModelPaths(root, "hotels"))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nowhere:net", ParamsError, r"there is no module nowhere: expected nowhere\.py in .*; correct the name"),
        ("sys:path", ParamsError, "there is no module sys"),
        ("crooked:net", ParamsError, r"crooked\.py is not Python"),
        ("width:", WrongValue, "should match pattern|Input should be"),
        ("cnnn", WrongValue, "did you mean 'cnn'"),
    ],
)
def test_a_wrong_name_is_refused(root: Path, name: str, error: type[Exception], message: str) -> None:
    (root / "crooked.py").write_text("def net(:\n")
    with pytest.raises(error, match=message):
        write(root, train={"architecture": name})
        locked.write(root)


def test_an_object_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(UserCodeFailed, match=r"nets:tall, which params.yaml names, fails.*has no attribute 'tall'"):
        user_code.load("nets:tall")


def test_an_installed_package_counts_by_its_own_files(root: Path) -> None:
    write(root, train={"architecture": "yaml.nodes:Node"})
    assert re.fullmatch("yaml.nodes:Node [0-9a-f]{32}", str(held(root, "train", "architecture")))
    assert user_code.files(config.load(root / "params.yaml").models["hotels"], root) == set()
