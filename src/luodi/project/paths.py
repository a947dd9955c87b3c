"""Where every artifact of a model lies, relative to the root of the checkout."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from luodi import yaml12
from luodi.errors import LuodiError

PARAMS = "params.yaml"
GRAPH = "dvc.yaml"


def find_root(start: Path | None = None) -> Path:
    """Return the nearest folder, from `start` (default: the working directory) upwards, with a params.yaml.

    Raises:
        LuodiError: There is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if os.path.lexists(folder / PARAMS):  # one that cannot be read is told by whoever reads it
            return folder
    raise LuodiError(f"no {PARAMS} in {here} or above it: run luodi inside a checkout of the project")


def maker(path: Path) -> str:
    """Return the command that makes an artifact: "luodi train reviews" of artifacts/reviews/train/export."""
    found = re.search(r".*/artifacts/([^/]+)/([^/]+)/", f"/{path.as_posix()}")
    return f"luodi {found[2]} {found[1]}" if found else "dvc repro"


def _compresses(path: Path) -> bool:
    """Whether a dvc.yaml has the stage `compress`; one that cannot be read is told by whoever reads it."""
    try:
        stages = yaml12.parse(yaml12.read(path))["stages"]
    except (yaml12.Unfit, KeyError, TypeError):
        return False
    return isinstance(stages, dict) and "compress" in stages


@dataclass(frozen=True)
class ModelPaths:
    """The files of one model. Properties named after a stage's folder hold that stage's outputs."""

    root: Path
    model: str

    @property
    def params(self) -> Path:
        return self.root / PARAMS

    @property
    def data(self) -> Path:
        """Folder of raw, append-only Parquet shards."""
        return self.root / "data" / self.model

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts" / self.model

    # validate
    @property
    def clean(self) -> Path:
        """Rows that passed: text or image (bytes of the file), label, source."""
        return self.artifacts / "validate" / "clean.parquet"

    @property
    def quarantine(self) -> Path:
        """Rows held back: shard, row, text or image, label, source, reasons (list of strings)."""
        return self.artifacts / "validate" / "quarantine.parquet"

    @property
    def validation_result(self) -> Path:
        """Result JSON of Great Expectations."""
        return self.artifacts / "validate" / "result.json"

    @property
    def data_docs(self) -> Path:
        """Folder of Great Expectations Data Docs."""
        return self.artifacts / "validate" / "docs"

    @property
    def validation_summary(self) -> Path:
        """Counts of rows: rows, clean, quarantined, duplicates; and findings, what became of each expectation: JSON."""
        return self.artifacts / "validate" / "summary.json"

    @property
    def validation_report(self) -> Path:
        return self.artifacts / "validate" / "report.html"

    # tune
    @property
    def best_params(self) -> Path:
        """Settings that stand over those of params.yaml, by block; none where nothing better was found: YAML."""
        return self.artifacts / "tune" / "best_params.yaml"

    @property
    def study(self) -> Path:
        """Every trial with its values and what came of it, and what the winner is worth: JSON."""
        return self.artifacts / "tune" / "study.json"

    @property
    def tuning_report(self) -> Path:
        return self.artifacts / "tune" / "report.html"

    # preprocess
    @property
    def rows(self) -> Path:
        """Cleaned rows: text or image (PNG), label (int32), source, split."""
        return self.artifacts / "preprocess" / "rows.parquet"

    @property
    def encoder(self) -> Path:
        """How rows become arrays, fitted on train: JSON."""
        return self.artifacts / "preprocess" / "encoder.json"

    @property
    def nearest(self) -> Path:
        """Test rows and the train row that each comes nearest to, see `luodi.checks.nearest.table`: Parquet."""
        return self.artifacts / "preprocess" / "nearest.parquet"

    @property
    def preprocess_summary(self) -> Path:
        """Counts of rows kept, by split, label and source, and dropped: JSON."""
        return self.artifacts / "preprocess" / "summary.json"

    @property
    def preprocess_report(self) -> Path:
        """What became of the rows, and samples of augmented ones."""
        return self.artifacts / "preprocess" / "report.html"

    # baseline
    @property
    def baseline_export(self) -> Path:
        """The linear model: a folder as `export` is."""
        return self.artifacts / "baseline" / "export"

    @property
    def baseline_validation(self) -> Path:
        """Class probabilities of the linear baseline on the validation rows, float32 [rows, classes]: NumPy."""
        return self.artifacts / "baseline" / "validation.npy"

    @property
    def baseline_out_of_fold(self) -> Path:
        """As `out_of_fold`, of the linear model."""
        return self.artifacts / "baseline" / "out_of_fold.parquet"

    @property
    def baseline_scores(self) -> Path:
        """Class probabilities of the linear baseline on the test rows, float32 [rows, classes]: NumPy."""
        return self.artifacts / "baseline" / "scores.npy"

    @property
    def baseline_metrics(self) -> Path:
        return self.artifacts / "baseline" / "metrics.json"

    # train
    @property
    def net(self) -> Path:
        """Folder of model.keras; empty where `train.architecture` is linear."""
        return self.artifacts / "train" / "net"

    @property
    def keras_model(self) -> Path:
        return self.net / "model.keras"

    @property
    def trained(self) -> Path:
        """What `train` exports, a folder as `export` is: where there is no stage `compress` it is that."""
        return self.artifacts / "train" / "export"

    @property
    def export(self) -> Path:
        """Folder that is judged and served: model.onnx and encoder.json, of the stage that dvc.yaml has last."""
        return self.compressed if _compresses(self.root / GRAPH) else self.trained

    @property
    def history(self) -> Path:
        """Loss, accuracy and recall of every epoch, none of a linear model: CSV, a DVC plot."""
        return self.artifacts / "train" / "history.csv"

    @property
    def choice(self) -> Path:
        """What `train` exports, and the validation figures behind it: JSON."""
        return self.artifacts / "train" / "choice.json"

    @property
    def out_of_fold(self) -> Path:
        """Train and validation rows as models of the same recipe score them that were not fitted on them: Parquet.

        row (int64, its place in `rows`) and probabilities (list of float32, a class each); without rows where each
        class has enough in the test split.
        """
        return self.artifacts / "train" / "out_of_fold.parquet"

    @property
    def cost(self) -> Path:
        """Time and energy of training: JSON, properties of the machine, so not an output that DVC tracks."""
        return self.artifacts / "train" / "cost.json"

    # compress
    @property
    def compressed(self) -> Path:
        """The smallest model that is proven no worse than what `train` exports, a folder as `export` is; or that."""
        return self.artifacts / "compress" / "export"

    @property
    def candidates(self) -> Path:
        """What was found of each smaller model, and which was chosen: JSON."""
        return self.artifacts / "compress" / "candidates.json"

    @property
    def candidates_latency(self) -> Path:
        """Time of a one-row prediction of each: JSON, a property of the machine, so not an output that DVC tracks."""
        return self.artifacts / "compress" / "latency.json"

    # evaluate
    @property
    def headline(self) -> Path:
        """The dozen figures that `dvc metrics` and `dvc exp show` have a column for: JSON, the DVC metric."""
        return self.artifacts / "evaluate" / "headline.json"

    @property
    def metrics(self) -> Path:
        """All that was measured: JSON."""
        return self.artifacts / "evaluate" / "metrics.json"

    @property
    def plots(self) -> Path:
        """Folder of confusion.csv, calibration.csv, roc.csv and precision_recall.csv."""
        return self.artifacts / "evaluate" / "plots"

    @property
    def evaluation_report(self) -> Path:
        return self.artifacts / "evaluate" / "report.html"

    @property
    def mistakes(self) -> Path:
        """Every test row that the model gets wrong, the surest first: CSV for a spreadsheet."""
        return self.artifacts / "evaluate" / "mistakes.csv"

    @property
    def comparison(self) -> Path:
        """What `luodi gate` found in this checkout: a page."""
        return self.artifacts / "gate" / "report.html"

    @property
    def sample(self) -> Path:
        """Some test rows and what the model says of them, see `luodi.scoring.sample`."""
        return self.artifacts / "evaluate" / "sample.json"

    @property
    def latency(self) -> Path:
        """Time of a one-row prediction: JSON, a property of the machine, so not an output that DVC tracks."""
        return self.artifacts / "evaluate" / "latency.json"
