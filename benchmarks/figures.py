"""The table of models in the README: accuracy on the test rows, with its interval, beside the linear baseline.

    python benchmarks/figures.py ngram cnn_lstm digits
    luodi fetch fashion && python benchmarks/figures.py fashion
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/figures.py digits

The stages run on data/ in a folder of their own. Trained bytes are the same on processors with the same instructions;
oneDNN, which TensorFlow computes with, can be told to leave some out: ONEDNN_MAX_CPU_ISA=AVX2, TF_ENABLE_ONEDNN_OPTS=0.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from luodi.config import locked
from luodi.project import fingerprints
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("validate", "preprocess", "baseline", "train", "evaluate")
LINES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "ngram": ("reviews", {}),
    "cnn_lstm": (
        "reviews",
        {"preprocess": {"tokenizer": "char"}, "train": {"architecture": "cnn_lstm", "embedding": 64}},
    ),
    "transformer": (
        "reviews",
        {"preprocess": {"tokenizer": "char"}, "train": {"architecture": "transformer"}},
    ),
    "digits": ("digits", {}),
    "fashion": ("fashion", {}),
}
"""Name of a line -> the model, and what differs from its block in params.yaml."""


def measure(model: str, changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Run the stages of a model with some settings changed; return metrics.json."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["models"] |= yaml.safe_load((ROOT / "docs" / "fashion.yaml").read_text(encoding="utf-8"))
    for block, values in changes.items():
        params["models"][model].setdefault(block, {}).update(values)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "data").symlink_to(ROOT / "data")
        (root / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
        locked.write(root)
        fingerprints.write(root)
        for stage in STAGES:
            command = [Path(sys.executable).with_name("luodi"), stage, model]
            subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(ModelPaths(root, model).metrics.read_text(encoding="utf-8"))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", metavar="LINE", choices=LINES, help=f"of {', '.join(LINES)}")
    for name in parser.parse_args().lines:
        found = measure(*LINES[name])
        shown = (
            "{value:.4f} [{low:.4f}, {high:.4f}]".format_map(found[who]["accuracy"]) for who in ("model", "baseline")
        )
        print(f"{name:<11} model {next(shown)}  linear baseline {next(shown)}", flush=True)


if __name__ == "__main__":
    main()
