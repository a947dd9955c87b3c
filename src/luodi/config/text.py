"""The settings of a text model, with defaults that train in minutes on two cores."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from luodi.config.fields import OF_TWO_LABELS, Contradictions, Line, Name, Positive, SettingsBase, Share, Strengths
from luodi.config.shared import Baseline, Preprocess, Training, other_defaults, require_encoder, require_unseen
from luodi.config.tuning import TunableSettings
from luodi.config.user_code import ObjectName, SuiteName


class TextValidate(SettingsBase):
    min_rows: Positive = Field(100, description="fewest rows of all data")
    min_length: Positive = Field(1, description="characters of a text")
    max_length: Positive = Field(5000, description="characters of a text")
    max_duplicate_share: Share = Field(0.5, description="of all rows that repeat an earlier one")
    max_contradictions: Annotated[int, Field(ge=0)] = Field(100, description="texts that carry more than one label")
    contradictions: Contradictions = Field("drop", description=OF_TWO_LABELS)
    min_class_share: Share = Field(0.001, description="of all rows that each class has")
    min_chinese_share: Share = Field(0.0, description="of the letters, over all rows")
    max_quarantined_share: Share = Field(0.02, description="of all rows; more stops the run")
    expectations: tuple[SuiteName, ...] = Field(
        (), description="of your own, each MODULE:FUNCTION, or FILE.json, a suite of Great Expectations"
    )

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")
        return self


class TextAugment(SettingsBase):
    copies: Annotated[int, Field(ge=0)] = Field(0, description="changed copies of each train row")
    swap: Share = Field(0.0, description="share of a copy's characters that change places")
    delete: Share = Field(0.0, description="share of a copy's characters that go")
    mask: Share = Field(0.0, description="share of a copy's characters that are hidden")


class TextPreprocess(Preprocess):
    tokenizer: Literal["char", "word", "ngram"] = Field("ngram", description="ngram: a bag, for mlp and ngram alone")
    words: bool = Field(False, description="words and pairs of them too, of scripts that put spaces between (ngram)")
    max_length: Positive = Field(200, description="characters (or words) kept of a text")
    vocabulary: Positive = Field(6000, description="most frequent characters or words kept (char, word)")
    grams: Annotated[int, Field(ge=1, le=8)] = Field(4, description="characters of the longest n-gram (ngram)")
    buckets: Annotated[int, Field(ge=1, le=2**27)] = Field(
        2**24, description="hash buckets that tell n-grams apart (ngram)"
    )
    stop_words: Annotated[tuple[Line, ...], Field(max_length=10_000)] = Field((), description="words left out (word)")
    augment: TextAugment = TextAugment()


class TextBaseline(Baseline):
    max_features: Positive = Field(500_000, description="n-grams and words kept, the most frequent")
    regularization: Strengths = Field(
        (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
        description="values of C tried, from the least on until the validation loss rises",
    )


Part = Literal["query", "key", "value", "attention", "inner", "outer"]
PARTS: tuple[Part, ...] = ("query", "key", "value", "attention", "inner", "outer")
COMMON = {"batch_size": 32, "warmup": 0.1, "decay": "cosine", "clip_norm": 1.0, "dropout": 0.1}
TUNED: Mapping[str, Mapping[str, Any]] = {
    "lora": COMMON | {"learning_rate": 0.001, "epochs": 6},
    "full": COMMON | {"learning_rate": 0.0002, "epochs": 2},
    "transformer": COMMON | {"embedding": 64, "units": 128, "learning_rate": 0.001},
}
"""Defaults of `train` where an encoder is trained on, and of an architecture that needs others."""
IN_ORDER = ("cnn", "cnn_lstm", "transformer")
"""Architectures that read tokens in their order."""


def _distinct_parts(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    if len(set(parts)) < len(parts):
        raise ValueError("each matrix may be named once")
    return parts


class TextTrain(Training):
    architecture: Literal["mlp", "cnn", "cnn_lstm", "transformer", "ngram", "linear", "pretrained"] | ObjectName = (
        Field(
            "ngram",
            description="see `luodi architectures`; or MODULE:FUNCTION of your own; transformer has "
            "other defaults, which params.lock shows",
        )
    )
    encoder: Name | None = Field(None, description="one of `luodi encoder list` (pretrained)")
    tuning: Literal["frozen", "lora", "full"] = Field(
        "frozen",
        description="what is trained of the encoder (pretrained): frozen: nothing; lora: small matrices beside its "
        "own; full: all of it. These two have other defaults of learning_rate, decay, warmup, clip_norm, batch_size, "
        "epochs and dropout, which params.lock shows",
    )
    all_rows: bool = Field(
        True,
        description="fit the linear model once more, on train and validation rows together, when these have chosen and "
        "judged it (pretrained, frozen); false where `compress` judges by them",
    )
    lora_rank: Annotated[int, Field(gt=0, le=1024)] = Field(8, description="columns of a matrix of LoRA (lora)")
    lora_targets: Annotated[tuple[Part, ...], Field(min_length=1), AfterValidator(_distinct_parts)] = Field(
        PARTS, description="matrices of each layer that LoRA is beside: of attention, and inner and outer (lora)"
    )
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="of the learning rate from one layer of the encoder to the one below it (full)"
    )
    embedding: Positive = Field(
        2,
        description="dimensions of an embedded character, word or n-gram; 2 to 4 for ngram, 64 for cnn_lstm "
        "and, by default, for transformer, whose width it is",
    )
    table: Positive = Field(2**20, description="vectors that the ids share, at most (mlp, ngram)")
    units: Positive = Field(64, description="width of the hidden layer (mlp, transformer) or of the LSTM (cnn_lstm)")
    layers: Annotated[int, Field(gt=0, le=48)] = Field(2, description="of attention, one upon another (transformer)")
    heads: Positive = Field(4, description="of each layer of attention, which share embedding (transformer)")
    filters: Positive = Field(64, description="channels of the convolution (cnn, cnn_lstm)")
    kernel: Positive = Field(5, description="positions that a convolution sees")
    pool: Positive = Field(4, description="positions that max pooling joins (cnn_lstm)")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of inputs dropped in training")
    learning_rate: Annotated[float, Field(gt=0)] = Field(0.005, description="of the optimizer, at first")
    batch_size: Positive = Field(128, description="rows of a step")
    epochs: Positive = Field(12, description="rounds over the train rows, at most")
    patience: Positive = Field(2, description="epochs without a better validation loss before training stops")

    @model_validator(mode="before")
    @classmethod
    def _other_defaults(cls, given: Any) -> Any:
        return other_defaults(cls, given, TUNED)

    @model_validator(mode="after")
    def _width_shared(self) -> Self:
        if self.architecture == "transformer" and self.embedding % self.heads:
            raise ValueError(
                f"embedding {self.embedding} cannot be shared by {self.heads} heads: set train.embedding to a multiple "
                "of train.heads"
            )
        return self


class TextSettings(TunableSettings):
    modality: Literal["text"] = Field(description="text or image")
    validate_: TextValidate = Field(TextValidate(), alias="validate")
    preprocess: TextPreprocess = TextPreprocess()
    baseline: TextBaseline = TextBaseline()
    train: TextTrain = TextTrain()

    @model_validator(mode="after")
    def _encoder_used(self) -> Self:
        require_encoder(self.train)
        require_unseen(self)
        return self

    @model_validator(mode="after")
    def _order_kept(self) -> Self:
        if self.preprocess.tokenizer == "ngram" and self.train.architecture in IN_ORDER:
            raise ValueError(
                f"{self.train.architecture} reads tokens in their order, which tokenizer ngram drops: "
                "set preprocess.tokenizer to char or word"
            )
        return self
