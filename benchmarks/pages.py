"""How pages fit a screen, a phone and paper, and what a checker of accessibility finds, in headless Chromium.

    python tests/gallery.py pages && python benchmarks/pages.py pages --axe node_modules/axe-core/axe.min.js
    python benchmarks/pages.py pages --load

Prints of each page: size, height at 1,280, 400 and 320 pixels, how far it reaches beyond each, how many
tables have to be scrolled there, and each rule of WCAG 2.2 AA that it breaks, in the light and in the dark scheme, with
every fold open. `--load` measures the processor seconds that it takes to open each in a window, less those of an empty
page. `--pictures FOLDER` keeps what is seen at each width, in both schemes and in grey, and the page as a PDF.
"""

import argparse
import json
import re
import resource
import subprocess
import tempfile
from pathlib import Path

WIDTHS = (1280, 400, 320)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
HARNESS = """<!doctype html><meta charset="utf-8"><body>
<script>{axe}</script><script type="application/json" id="pages">{pages}</script><script>
const wait = (frame) => new Promise((done) => frame.addEventListener("load", done));
const shown = async (html, width) => {{
  const frame = document.createElement("iframe");
  frame.style = `width: ${{width}}px; height: 900px; border: 0`;
  const ready = wait(frame);
  frame.srcdoc = html;
  document.body.append(frame);
  await ready;
  return frame;
}};
(async () => {{
  const found = {{}};
  for (const [name, schemes] of Object.entries(JSON.parse(document.getElementById("pages").textContent))) {{
    const page = found[name] = {{height: {{}}, beyond: {{}}, scrolled: {{}}, axe: {{}}, checked: {{}}}};
    for (const width of {widths}) {{
      const frame = await shown(schemes.light, width);
      const root = frame.contentDocument.documentElement;
      page.height[width] = root.scrollHeight;
      page.beyond[width] = Math.max(0, root.scrollWidth - width);
      const wide = [...root.querySelectorAll(".wide")];
      page.scrolled[width] = wide.filter((one) => one.scrollWidth > one.clientWidth + 1).length;
      frame.remove();
    }}
    if (typeof axe === "undefined") continue;
    for (const [scheme, html] of Object.entries(schemes)) {{
      const frame = await shown(html, 1280);
      frame.contentDocument.querySelectorAll("details").forEach((one) => one.open = true);
      const script = frame.contentDocument.createElement("script");
      script.textContent = document.scripts[0].textContent;
      frame.contentDocument.head.append(script);
      const result = await frame.contentWindow.axe.run(frame.contentDocument, {{runOnly: {tags}}});
      const asked = result.passes.length + result.violations.length;
      page.checked[scheme] = [asked, result.passes.reduce((sum, one) => sum + one.nodes.length, 0)];
      page.axe[scheme] = result.violations.map((one) => {{
        const [first] = one.nodes, [why] = first.any;
        return `${{one.id}} ${{one.nodes.length}}: ${{first.html.slice(0, 140)}} | ${{why ? why.message : one.help}}`;
      }});
      frame.remove();
    }}
  }}
  document.body.replaceChildren(Object.assign(document.createElement("pre"),
    {{id: "found", textContent: JSON.stringify(found)}}));
}})();
</script>"""


def schemes(html: str) -> dict[str, str]:
    """Return the page in both schemes, without the policy that keeps the checker out."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    dark = html.replace("@media (prefers-color-scheme: dark)", "@media screen").replace(
        "color-scheme: light dark", "color-scheme: dark"
    )
    return {"light": html.replace("(prefers-color-scheme: dark)", "(width < 0)"), "dark": dark}


def chromium(*arguments: str) -> str:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=900).stdout


def measure(pages: list[Path], axe: Path | None, folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    held = {path.stem: schemes(path.read_text("utf-8")) for path in pages}
    script = axe.read_text("utf-8").replace("</script", "<\\/script") if axe else ""
    harness = HARNESS.format(
        axe=script, pages=json.dumps(held).replace("<", "\\u003c"), widths=list(WIDTHS), tags=json.dumps(TAGS)
    )
    (folder / "harness.html").write_text(harness, encoding="utf-8")
    dom = chromium(
        "--virtual-time-budget=600000", "--timeout=600000", "--dump-dom", f"file://{folder / 'harness.html'}"
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    text = (found[1] if found else "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    result: dict[str, dict[str, dict[str, object]]] = json.loads(text)
    return result


def load(page: Path, work: Path) -> float:
    """Return the processor seconds, the least of three, in which a browser opens a page and draws the top of it."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        chromium("--window-size=1280,900", f"--screenshot={work / 'load.png'}", f"file://{page.resolve()}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def picture(page: Path, folder: Path, work: Path, heights: dict[str, object]) -> None:
    seen = schemes(page.read_text("utf-8"))
    seen["grey"] = seen["light"].replace("</style>", "html { filter: grayscale(1) }</style>", 1)
    for scheme, html in seen.items():
        copy = work / f"{page.stem}-{scheme}.html"
        copy.write_text(html, encoding="utf-8")
        for width in WIDTHS if scheme == "light" else WIDTHS[:2]:
            # Chromium's windows are at least 500 pixels wide: a frame is as narrow as one likes.
            frame = work / "frame.html"
            height = min(int(str(heights[str(width)])), 12_000)
            frame.write_text(
                f'<body style="margin:0"><iframe src="{copy}" style="border:0;width:{width}px;height:{height}px">',
                encoding="utf-8",
            )
            target = folder / f"{page.stem}-{width}-{scheme}.png"
            chromium(f"--window-size={max(width, 500)},{height}", f"--screenshot={target}", f"file://{frame}")
    chromium("--no-pdf-header-footer", f"--print-to-pdf={folder / page.stem}.pdf", f"file://{page.resolve()}")


def _each(one: dict[str, dict[str, object]], name: str) -> list[object]:
    return [one[name][str(width)] for width in WIDTHS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path)
    parser.add_argument("--axe", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--load", action="store_true")
    given = parser.parse_args()
    pages = sorted(given.pages.rglob("*.html"))
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(pages, given.axe, Path(scratch))
        empty = Path(scratch) / "empty.html"
        empty.write_text("<!doctype html><title>empty</title><p>empty</p>", encoding="utf-8")
        nothing = load(empty, Path(scratch)) if given.load else 0
        for path in pages:
            one = found[path.stem]
            heights = " ".join(f"{one['height'][str(width)]:>7,}" for width in WIDTHS)
            print(f"{path.stem:24} {path.stat().st_size:>9,} bytes  high {heights}  beyond {_each(one, 'beyond')}"
                  f"  scrolled {_each(one, 'scrolled')}")  # fmt: skip
            if given.load:
                print(
                    f"    opened in {load(path, Path(scratch)) - nothing:.2f} processor seconds, beside {nothing:.2f}"
                )
            for scheme, (rules, elements) in one["checked"].items():
                print(f"    {scheme}: {rules} rules on {elements:,} elements, {len(one['axe'][scheme])} broken")
            for scheme, broken in one["axe"].items():
                for line in broken if isinstance(broken, list) else ():
                    print(f"    {scheme}: {line}")
            if given.pictures:
                given.pictures.mkdir(parents=True, exist_ok=True)
                picture(path, given.pictures, Path(scratch), one["height"])


if __name__ == "__main__":
    main()
