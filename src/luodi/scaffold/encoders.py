"""Add a pretrained encoder to the checkout: its graph and what it needs, in data/encoders, and what is known of it."""

import re
import sys
from pathlib import Path

import numpy as np

from luodi import config
from luodi.config import encoders
from luodi.config.encoders import ImageEncoder, TextEncoder
from luodi.data import subwords
from luodi.errors import BrokenData, DataError, WrongValue
from luodi.files import folder_checksum, write_text
from luodi.nets import onnx_file
from luodi.pretrained import checkpoint, graph, preset, store
from luodi.pretrained.checkpoint import Checkpoint
from luodi.project.paths import PARAMS
from luodi.scaffold import changes, pipeline, recipe, stems
from luodi.scoring import inference
from luodi.system.processes import Runner

TRIED = ("a", "two words, and more of them")
STEMS = (".keras", ".h5")
"""Files of encoders of images."""


def add(root: Path, source: Path, name: str | None, runner: Runner, licence: str | None = None) -> str:
    """Add the encoder of texts that a folder holds, or of images that a file does; return what was done, what is next.

    Args:
        name: What it is to be called; None is as the folder or file is.
        licence: Under which it is; None is as its files say.

    Raises:
        DataError: It is no checkpoint, one of a kind that luodi does not open, or its files do not fit together.
        ParamsError: The name is taken or no name.
    """
    name = name or _name(source)
    config.require_name(name, "an encoder")
    with changes.exclusive(root) as staging:
        known, models = encoders.read(root), config.load(root / PARAMS).models
        if name in known:
            raise WrongValue(f"{encoders.NAME} has an encoder {name} already: choose another name with --name")
        if (target := store.place(root, name)).exists():
            raise DataError(
                f"{target} exists, though {encoders.NAME} has no encoder {name}: move it away, and add again"
            )
        if target.parent.name in models:
            raise WrongValue(f"data/{target.parent.name} holds a model's data: rename that model with `luodi rename`")
        changes.require_data(root)
        recorded = prepared(source, made := staging / "encoder", licence)
        record = encoders.text({**known, name: recorded}).encode()
        params, dag = (root / PARAMS).read_bytes(), pipeline.read(root)
        changes.make(root, params, dag, runner, moves=[(made, target)], also={encoders.NAME: record})
    return _told(name, recorded)


def _name(folder: Path) -> str:
    """As the folder is called; in a cache of Hugging Face, models--WHOSE--NAME/snapshots/COMMIT, as the model is."""
    folder = folder.absolute() if folder.name else folder.resolve()
    found = folder.parent.parent.name.rpartition("--")[2] if folder.parent.name == "snapshots" else folder.name
    found = found.removesuffix(".keras").removesuffix(".h5").removesuffix(".weights")
    return re.sub(r"[^a-z0-9]+", "-", found.lower()).strip("-")


def prepared(source: Path, folder: Path, licence: str | None = None) -> TextEncoder | ImageEncoder:
    """Make of a checkpoint what a project keeps of it; return what is known of that. Raises DataError as `add` does."""
    if preset.of_images(source) if source.is_dir() else source.suffix in STEMS:
        return stems.prepared(source, folder, licence)
    found = checkpoint.read(source)
    if found.left_out:
        print(
            f"warning: {source} has a module {', '.join(found.left_out)} behind its pooled vectors, which is left out: "
            "a model of luodi's has its own layer there",
            file=sys.stderr,
        )
    folder.mkdir(parents=True)
    _write(found, folder)
    return _recorded(found, folder, licence)


def _write(found: Checkpoint, folder: Path) -> None:
    """Write the graph and the tokenizer, and prove that they give vectors."""
    onnx_file.write(graph.of(found), folder / store.GRAPH)
    write_text(folder / subwords.TOKENIZER, found.tokenizer)
    encoder = subwords.Encoder((), found.length, found.pad, found.tokenizer)
    rows = subwords.padded(encoder.ids(TRIED), found.pad)
    given = inference.session(folder / store.GRAPH).run(["vectors"], {"x": rows})[0]
    if not np.isfinite(given).all() or (given[0] == given[1]).all():
        raise BrokenData(
            f"{found.folder} gives no vectors, or the same to two different texts: its weights are not those of a "
            "trained encoder; get the checkpoint again"
        )


def _recorded(found: Checkpoint, folder: Path, licence: str | None) -> TextEncoder:
    return TextEncoder(
        md5=folder_checksum(folder),
        licence=licence or found.licence,
        family=found.family,
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        weights=found.weights,
        width=found.width,
        length=found.length,
        pad=found.pad,
        pooling=found.pooling,
    )


def _told(name: str, recorded: TextEncoder | ImageEncoder) -> str:
    limit = recipe.size_limit(recorded).get("max_size_mb")
    more = f"  models on it need gate.max_size_mb: {limit:g}, which `luodi add --encoder` writes\n" if limit else ""
    return (
        f"added encoder {name}: {recorded.family}, {recorded.weights:,} weights, licence: {recorded.licence}\n"
        f"  vectors of {recorded.width:,} values; it reads {recorded.reads}\n"
        f"  data/encoders/{name}: {recorded.size_bytes / 1e6:.1f} MB, recorded in data.dvc and {encoders.NAME}\n"
        f"{more}"
        "next:\n"
        f"  git add . && git commit -m 'Add encoder {name}'\n"
        f"  luodi add NAME PATH --encoder {name}\n"
        f"  or, for a model that there is, train: {{architecture: pretrained, encoder: {name}}} in {PARAMS}, then "
        "`luodi upgrade`"
    )
