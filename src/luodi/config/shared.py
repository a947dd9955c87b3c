"""The settings that a model of any modality has, those of its stages among them.

Every setting has its default and its description here, and nowhere else: `luodi params` and docs/params.md read them.
"""

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    model_validator,
)

from luodi.config.fields import (
    CLASSES,
    Columns,
    Line,
    Positive,
    Seed,
    SettingsBase,
    Share,
    different,
    distinct,
    require_schedule,
)
from luodi.config.landing import Card, Gate, Register
from luodi.config.operations import Airflow, Drift, Ingest, Monitor, Notify, Predict


class Shares(SettingsBase):
    """Parts of the hash space that each split owns; they sum to 1."""

    train: Share = Field(0.8, description="share of the rows that training sees")
    validation: Share = Field(0.1, description="share of the rows that choose the epoch")
    test: Share = Field(0.1, description="share of the rows that measure")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must sum to 1")
        return self


class Split(SettingsBase):
    """Which rows stand together, so that none is judged by what it resembles."""

    by: Columns = Field((), description="columns of the shards: rows that share a value of one stand in one split")
    near_copies: Literal["join", "none"] = Field(
        "none",
        description="join: texts of nearly the same words, and copies of an image of another size or kind of file, "
        "stand in one split, but of a template a part only; `luodi add` sets it where it makes the splits",
    )
    newest: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}d$")] | None = Field(
        None,
        description="28d: the rows of the last 28 days of the data are a second test set, on which no version may be "
        "proven worse than the one in production",
    )
    column: Line | None = Field(None, description="column of the shards that holds the day of a row, 2026-11-27")

    @property
    def days(self) -> int | None:
        """Of the newest rows."""
        return int(self.newest[:-1]) if self.newest else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the shards that say where rows stand."""
        return tuple(dict.fromkeys((*self.by, *([self.column] if self.column else []))))

    @model_validator(mode="after")
    def _newest_by_a_column(self) -> Self:
        if (self.newest is None) != (self.column is None):
            raise ValueError("newest and column go together: newest: 28d, column: the one that holds the day of a row")
        return self


class Preprocess(SettingsBase):
    """How any rows are split."""

    seed: Seed = Field(20240501, description="of the hash that splits rows, and of augmentation")
    shares: Shares = Field(Shares(), description="what each split owns of the rows of other sources than those two")
    split: Split = Field(Split(), description="which rows stand together")
    rows: Positive | None = Field(
        None,
        description="at most so many of the clean rows, of each class in each split alike, to try the whole graph "
        "quickly; a smaller number takes a part of what a larger one takes",
    )
    test_source: Line | None = Field(
        None,
        description="the source whose rows are the test split, for data with an official one; shares.test is 0 then",
    )
    validation_source: Line | None = Field(
        None, description="the source whose rows are the validation split; shares.validation is 0 then"
    )

    @model_validator(mode="after")
    def _one_split_each(self) -> Self:
        if self.test_source is not None and self.shares.test > 0:
            raise ValueError(f"shares.test must be 0 where test_source names the test rows, found {self.shares.test}")
        if self.validation_source is not None and self.shares.validation > 0:
            raise ValueError(
                "shares.validation must be 0 where validation_source names the validation rows, found "
                f"{self.shares.validation}"
            )
        if self.test_source is not None and self.test_source == self.validation_source:
            raise ValueError(f"test_source and validation_source must differ, found {self.test_source} for both")
        return self


class Training(SettingsBase):
    """What the training loop needs, whatever is trained."""

    units: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "elu"] = Field("relu", description="of the hidden layers")
    loss: Literal["categorical_crossentropy", "categorical_focal_crossentropy", "mean_squared_error"] = Field(
        "categorical_crossentropy", description="what training makes small"
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced: rows of a rare class count for more in training, of the linear model too"
    )
    optimizer: Literal["adam", "sgd"] = Field(
        "adam", description="how it is made small; adam moves only the embeddings that a batch looks up (TensorFlow)"
    )
    learning_rate: Annotated[float, Field(gt=0)]
    decay: Literal["none", "cosine"] = Field(
        "none", description="cosine: the learning rate falls to zero over all epochs, along half a cosine"
    )
    warmup: Share = Field(
        0.0, description="share of all steps over which the learning rate rises to what it is to be, from zero"
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="length that the gradient of all weights together is cut down to where it is longer"
    )
    batch_size: Positive
    halve_batch: bool = Field(
        True,
        description="where memory runs out a step takes its batch in halves, quarters and so on, and moves by the mean "
        "of their gradients; the cost of training records it",
    )
    epochs: Positive
    patience: Positive
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = Field(
        "float32",
        description="of the arithmetic; auto: mixed_bfloat16 on a GPU that has it, else float32; what is saved is "
        "float32",
    )
    threads: Annotated[int, Field(gt=0, le=1024)] = Field(
        2,
        description="of a network with convolutions, of images, or of your own, on processors: its trained bytes "
        "depend on their number; the others take all cores",
    )
    devices: Literal["one", "all"] = Field(
        "one",
        description="all: each batch is divided among all GPUs of the host (TensorFlow, JAX), on whose number the "
        "trained bytes then depend",
    )
    out_of_fold: Literal["auto", "always", "never"] = Field(
        "auto",
        description="whether networks are fitted three times more where a class has fewer than 30 test rows, so that "
        "all of its rows judge it; auto: of at most 20,000 rows, or of images so many that their pixels over all "
        "epochs are 200 million, and of more no network is fitted where a class has fewer than 10, for the linear "
        "model has every class judged at any size",
    )
    checkpoint_minutes: Annotated[float, Field(gt=0)] = Field(
        5,
        description="time between two checkpoints within an epoch, from which a training that was ended goes on; each "
        "epoch ends with one too",
    )
    seed: Seed = Field(7, description="of the first weights and of the order of the rows")


def other_defaults(kind: type[BaseModel], given: Any, others: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return a block train of that kind as it was given, before it is checked, with the defaults that `others` has of
    its tuning or architecture.

    What trains a network from its first weights on would make an encoder forget what it knows.
    """
    if not isinstance(given, dict):
        return given
    named = (one for one in (given.get("architecture"), given.get("tuning")) if isinstance(one, str))
    found = {key: value for one in named for key, value in others.get(one, {}).items()} | given
    # To pydantic it comes from Python now, not from JSON, and a list is no tuple.
    several = {name for name, field in kind.model_fields.items() if get_origin(field.annotation) is tuple}
    return {name: tuple(one) if name in several and isinstance(one, list) else one for name, one in found.items()}


def require_encoder(train: Any) -> None:
    """Raise ValueError where the keys of a block train that are of an encoder do not go together."""
    if (train.architecture == "pretrained") != (train.encoder is not None):
        raise ValueError(
            "train.architecture pretrained and train.encoder go together: `luodi encoder list` lists encoders"
        )
    if train.tuning != "frozen" and train.encoder is None:
        raise ValueError(
            f"train.tuning {train.tuning} is of an encoder: name one in train.encoder, and set "
            "train.architecture to pretrained"
        )


def require_unseen(block: Any) -> None:
    """Raise ValueError where `compress` would judge a model by rows that it was fitted on.

    What 8 bits change hardly shows on these: of MiniLM on CLINC150 the answers stayed the same for all of them, and for
    94.3% of rows that it had not seen (benchmarks/encoders.md).
    """
    seen = {
        "baseline.all_rows": block.baseline.all_rows,
        "train.all_rows": block.train.encoder and block.train.all_rows,
    }
    if block.compress is not None and (named := [name for name, on in seen.items() if on]):
        raise ValueError(
            f"compress judges by the validation rows, and {' and '.join(named)} would fit the model on them too: set "
            f"{named[0]} to false, or take compress out"
        )


class Baseline(SettingsBase):
    """What the linear model has, whatever it reads."""

    all_rows: bool = Field(
        False,
        description="fit the linear model once more, on train and validation rows together, when these have chosen and "
        "judged it; `luodi add` sets it for texts of more than two classes; false where `compress` judges by them",
    )


class Evaluate(SettingsBase):
    bootstrap: Positive = Field(1000, description="draws behind each confidence interval")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="of the intervals")
    mistakes: Positive = Field(20, description="most confident mistakes that the report shows")
    explained: Annotated[int, Field(ge=0, le=100)] = Field(
        10, description="of these, the first so many with what each word or region adds; fewer of a costly network"
    )


Candidate = Literal["int8_dynamic", "int8_static", "float16", "pruned", "distilled"]


class Compress(SettingsBase):
    """Smaller models of what `train` exports: the smallest that is proven no worse on the validation rows lands.

    What is proven is the gate's: `gate.metric`, at `gate.confidence` for all candidates together.
    """

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1), AfterValidator(different)] = Field(
        get_args(Candidate),
        description="what is tried; int8_dynamic: weights of 8 bits, scales of what they are multiplied with of each "
        "batch; int8_static: all scales of train rows; float16: weights of 16 bits; pruned: fewer units; distilled: a "
        "smaller network, which is trained",
    )
    margin: Share = Field(
        0.01, description="how much worse it may be than the uncompressed model, in gate.metric on validation rows"
    )
    sampled_rows: Positive = Field(
        500, description="train rows that the scales of int8_static are of, and by which pruned leaves out units"
    )
    pruned_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5,
        description="units that pruned leaves out of each hidden layer, those of least weights, at most: half as many "
        "where it gives more of the sampled rows another answer than margin, and so on, down to an eighth",
    )
    distilled_size: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.25, description="of train.table, units and filters, what the network of distilled has of each"
    )
    max_slowdown: Annotated[float, Field(ge=1)] = Field(
        1.25,
        description="a candidate that takes more than so many times the processor time of the uncompressed model for "
        "one row, the two measured in turns, is not taken; wide, so that a repetition decides the same",
    )


class AnySettings(SettingsBase):
    """What every block of `models:` has."""

    modality: str = Field(description="text or image")
    labels: Annotated[tuple[Line, ...], Field(min_length=2, max_length=CLASSES), AfterValidator(distinct)] = Field(
        description="the classes, in the order of the network's outputs"
    )
    schedule: Annotated[Line, AfterValidator(require_schedule)] = Field(
        "@weekly", description="when Airflow retrains it: a cron expression, or a name such as @daily"
    )
    owner: Line = Field("luodi", description="whom Airflow and the model card name")
    column: Line | None = Field(
        None, description="of a table that `luodi predict` reads: what the texts, or the paths of images, stand in"
    )
    card: Card = Card()
    compress: Compress | None = Field(None, description="smaller models that may land in its place; null: none")
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    register_: Register = Field(Register(), alias="register")
    airflow: Airflow = Airflow()
    drift: Drift = Drift()
    ingest: Ingest | None = Field(None, description="an inbox that Airflow looks into; null: none")
    monitor: Monitor | None = Field(None, description="the request log that is looked at; null: none")
    predict: Predict | None = Field(None, description="files that Airflow predicts by date; null: none")
    notify: Notify | None = Field(None, description="who is told what came of a run; null: nobody")

    @property
    def pixels(self) -> int:
        """What a network reads of an item point by point: of a text none."""
        return 0

    @model_validator(mode="after")
    def _unproven_are_labels(self) -> Self:
        if unknown := [label for label in self.gate.unproven if label not in self.labels]:
            found = reprlib.repr(unknown[0])
            raise ValueError(f"gate.unproven: {found} is no label of this model: write it as labels has it")
        return self
