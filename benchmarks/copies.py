"""What luodi takes for a copy of an image: how many planted ones it finds, how many look-alikes it takes for one.

    python benchmarks/copies.py --data /usr/share/datasets/fashion-mnist

Fashion-MNIST is in Debian's package dataset-fashion-mnist; digits and photos are scikit-learn's. Copies are scaled by
one of four filters, drawn for each, or stored as JPEG, or both; images and copies come in an order drawn at random.
`tied` is the share of images that share a group with another before any copy is planted.

Then images are made up, three scaled and stored copies of each, which tell their class a little, for a model that
answers as the nearest train image does: how often it is right on test rows, and on images that are truly new.

Last, what the near-copies that Fashion-MNIST has are worth to such a model.
"""

import argparse
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from luodi.checks.image import near_duplicates
from luodi.config import ImageValidate, Shares
from luodi.data import groups, splits

FILTERS = (Image.Resampling.HAMMING, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
CHANGES = (
    (0.5, 0),
    (0.6, 0),
    (0.75, 0),
    (1.25, 0),
    (1.5, 0),
    (1, 60),
    (1, 75),
    (1, 95),
    (0.5, 75),
    (0.75, 75),
    (1.5, 60),
)
PLANTED, MADE, DRAWS, SIDE = 3000, 2000, 12, 48
Pictures = Sequence[Image.Image]


def fashion(folder: Path, part: str) -> tuple[Any, Any]:
    with (
        gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as images,
        gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as labels,
    ):
        pixels = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        return pixels, np.frombuffer(labels.read(), np.uint8, offset=8).astype(np.int64)


def photos(count: int) -> Pictures:
    """Parts of two photographs, of 64 to 200 pixels, with the contrast that validation asks for."""
    rng = np.random.default_rng(0)
    whole, found = [Image.fromarray(one) for one in load_sample_images().images], []
    for _ in range(count):
        which, side = int(rng.integers(2)), int(rng.integers(64, 200))
        x, y = (int(rng.integers(0, size - side)) for size in whole[which].size)
        part = whole[which].crop((x, y, x + side, y + side))
        if np.std(part.convert("L")) > ImageValidate().min_contrast * 255:
            found.append(part)
    return found


def changed(image: Image.Image, scale: float, quality: int, rng: np.random.Generator) -> Image.Image:
    """A copy of another size, by a filter drawn at random, stored as JPEG of some quality; 0 is not."""
    if scale != 1:
        size = [max(1, round(side * scale)) for side in image.size]
        image = image.resize((size[0], size[1]), FILTERS[rng.integers(len(FILTERS))])
    if not quality:
        return image
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def waves(pictures: Pictures) -> Any:
    small = np.frombuffer(b"".join(near_duplicates.small(one.convert("L")) for one in pictures), np.uint8)
    return near_duplicates.waves(small.reshape(-1, near_duplicates.SIDE, near_duplicates.SIDE))


def together(seen: Any, home: Any = None, label: Any = None) -> groups.Groups:
    some = np.zeros(len(seen), np.int8)
    links, everywhere = near_duplicates.links(seen), np.ones((len(seen), 3), bool)
    return groups.join([], links, some if home is None else home, everywhere, some, label=label)


def planted(name: str, pictures: Pictures) -> None:
    """Print how many copies of each kind stand together with their image."""
    rng, own = np.random.default_rng(0), waves(pictures)
    sizes = np.bincount(first := together(own).first)
    print(f"{name}: {len(pictures):,} images, {(sizes[first] > 1).mean():.2%} tied, the largest group {sizes.max()}")
    chosen = rng.permutation(len(pictures))[:PLANTED]
    for scale, quality in CHANGES:
        copies = waves([changed(pictures[one], scale, quality, rng) for one in chosen])
        order = rng.permutation(len(own) + len(copies))
        first = np.empty(len(order), np.int64)
        first[order] = together(np.concatenate([own, copies])[order]).first
        found = (first[chosen] == first[len(own) :]).mean()
        kind = f"x {scale}" * (scale != 1) + " and " * (scale != 1 and quality > 0) + f"JPEG {quality}" * (quality > 0)
        print(f"  {kind}: {found:.2%} of {len(chosen):,} copies stand with their image", flush=True)


def made_up(count: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Waves [n] of three copies of each image, and their classes."""
    rough, label = rng.normal(128, 40, (count, 6, 6)), rng.integers(0, 2, count)
    rough[:, :, :3] += 12 * (2 * label - 1)[:, None, None]
    base = [Image.fromarray(one.clip(0, 255).astype(np.uint8)).resize((SIDE, SIDE), FILTERS[2]) for one in rough]
    copies = [changed(one, rng.uniform(0.5, 1.5), int(rng.integers(60, 96)), rng) for one in base for _ in range(3)]
    return waves(copies), np.repeat(label, 3)


def nearest(train: Any, label: Any, test: Any) -> Any:
    """The class of the train row that is nearest to each test row."""
    train, test = (rows.reshape(len(rows), -1).astype(np.float32) for rows in (train, test))
    square = (train**2).sum(1)
    return np.concatenate([
        label[(square - 2 * test[start : start + 500] @ train.T).argmin(1)] for start in range(0, len(test), 500)
    ])  # fmt: skip


def home_of(rows: int, seed: int) -> Any:
    """The split of each row by what it holds."""
    return splits.assign(np.random.default_rng(seed).integers(0, 2**64, rows, np.uint64), Shares())


def honest() -> None:
    """Print what the nearest train image says of the class of test rows, and of images that are truly new."""
    found, straddling = np.zeros((2, 2)), np.zeros(2, int)
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        (seen, label), (new, truth) = made_up(MADE, rng), made_up(MADE, rng)
        home = home_of(len(seen), draw)
        for place, split in enumerate((home, together(seen, home, label).split)):
            train, test = split == 0, split == 2
            found[place] += [
                (nearest(seen[train], label[train], rows) == of).mean() / DRAWS
                for rows, of in ((seen[test], label[test]), (new, truth))
            ]
            sides = split.reshape(-1, 3)
            straddling[place] += ((sides == 0).any(1) & (sides == 2).any(1)).sum()
    for kind, (test, truth), across in zip(("by content", "copies joined"), 100 * found, straddling, strict=True):
        print(f"made up, split {kind}: {test:.2f}% of test rows right, {truth:.2f}% of new ones: "
              f"{test - truth:+.2f} points; {across} of {MADE * DRAWS:,} images stand in train and test")  # fmt: skip


def worth(pixels: Any, label: Any) -> None:
    """Print how many near-copies Fashion-MNIST has, and how often the nearest train image is right with and without."""
    seen, home = waves([Image.fromarray(one) for one in pixels]), home_of(len(pixels), 0)
    first, joined = together(seen).first, together(seen, home, label)
    test = np.flatnonzero(home == 2)
    near = np.isin(first[test], first[home == 0])
    right = nearest(pixels[home == 0], label[home == 0], pixels[test]) == label[test]
    figures = [right[near].mean(), right[~near].mean(), right.mean()]
    print(f"Fashion-MNIST, split by content: {near.sum()} of {len(test):,} test rows have a copy in train; "
          "right are {:.4f} of those, {:.4f} of the others, {:.4f} of all".format(*figures))  # fmt: skip
    test, train = joined.split == 2, joined.split == 0
    right = nearest(pixels[train], label[train], pixels[test]) == label[test]
    print(f"copies joined: {right.mean():.4f} of {test.sum():,} right; {(joined.split < 0).sum()} rows left out, "
          f"{joined.loose.sum()} resemble a full group")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's four files")
    folder = parser.parse_args().data
    planted("photos", photos(1000))
    planted("digits", [Image.fromarray((one * 15).astype(np.uint8)) for one in load_digits().images])
    honest()
    if folder:
        pixels, label = fashion(folder, "train")
        planted("Fashion-MNIST", [Image.fromarray(one) for one in pixels])
        worth(pixels, label)


if __name__ == "__main__":
    main()
