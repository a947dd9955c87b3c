"""What every page has: contents, tables that a phone shows as lists, and a head where it is delivered."""

from luodi.report import page
from luodi.report.document import Cell, Section, Table
from luodi.report.page import Identity

WHO = Identity("reviews@v1.0.0", "landed", "2026-11-23 18:02 UTC", "d48e82062cf213912b", "77aac41e2d40c4.dir")


def comparison(**decision: object) -> str:
    from luodi.registry import card

    return card.comparison("reviews", decision)


def test_each_part_is_a_line_of_the_contents_and_names_its_tables() -> None:
    rows = [{"name": "size", "expected": "at most <40> MB", "found": "8 MB", "passed": True}]
    comparison_ = {"rows": 10, "metrics": {}, "slices": [], "notes": ["one"]}
    text = comparison(checks=rows, comparison=comparison_, rule={"margin": 0.0}, champion="reviews@v1.0.0")
    for number, title in enumerate(("Rules", "Metrics", "Notes", "Settings of the gate"), 1):
        assert f'<li><a href="#part-{number}">{title}</a></li>' in text
        assert f'<h2 id="part-{number}">{title}</h2>' in text
    assert '<table class="cards" aria-labelledby="part-1">' in text
    assert '<td class="text" data-name="Expected">at most &lt;40&gt; MB</td>' in text
    assert '<table aria-labelledby="part-4">' in text  # names and values


def test_a_head_says_whose_a_page_is_and_leads_to_those_beside() -> None:
    pages = (("card.html", "Card"), ("comparison.html", "Comparison"))
    text = page.headed(comparison(), WHO, pages, "card.html")
    assert '<b aria-current="page">Card</b>' in text and '<a href="comparison.html">Comparison</a>' in text
    assert "<b>reviews@v1.0.0</b> · landed · 2026-11-23 18:02 UTC · commit <code>d48e82062cf2</code>" in text
    assert text.index("</header>") < text.index("<main>")
    assert page.headed("<html><main>of an older luodi</main>", WHO).count("<header") == 1


def test_a_part_that_is_known_later_stands_first_and_is_listed() -> None:
    table = Table([(Cell("rows <b>"), Cell("1"))], ("Name", "Now"), 1)
    checks = [{"name": "size", "expected": "a", "found": "b", "passed": True}]
    notes = {"rows": 10, "metrics": {}, "slices": [], "notes": ["one"]}
    made = comparison(checks=checks, comparison=notes, rule={"margin": 0.0}, champion="reviews@v1.0.0")
    text = page.joined(made, [Section("Since <then>", tables=[table])])
    assert '<ol>\n<li><a href="#joined-1">Since &lt;then&gt;</a></li>\n<li><a href="#part-1">' in text
    assert text.index('<h2 id="joined-1">Since &lt;then&gt;</h2>') < text.index('<h2 id="part-1">')
    assert '<table class="cards" aria-labelledby="joined-1">' in text and 'data-name="Now">1</td>' in text
    assert page.joined("<main>of an older luodi</main>", [Section("a")]) == "<main>of an older luodi</main>"


def test_what_a_head_says_is_text() -> None:
    assert "&lt;b&gt;" in page.headed("<main>", Identity("<b>", "", "", "")) and "data" not in page.headed(
        "<main>", Identity("a", "", "", "")
    )


def test_chinese_is_told_to_be_and_the_rest_is_english() -> None:
    rows = [{"name": name, "expected": "a", "found": "b", "passed": True} for name in ("负面", "bad", "ねこ")]
    text = comparison(checks=rows)
    assert text.count(' lang="zh"') == 1 and 'lang="zh" data-name="Rule">负面</th>' in text
