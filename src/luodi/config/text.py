"""The settings of a text model."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from luodi.config.shared import AnySettings, Line, Positive, Preprocess, SettingsBase, Share, Training


class TextValidate(SettingsBase):
    min_rows: Positive
    min_length: Positive
    max_length: Positive
    max_duplicate_share: Share
    max_contradictions: Annotated[int, Field(ge=0)]
    min_class_share: Share
    min_chinese_share: Share
    max_quarantined_share: Share

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")
        return self


class TextAugment(SettingsBase):
    """`copies` extra copies of each train row; the rates are shares of a copy's characters."""

    copies: Annotated[int, Field(ge=0)]
    swap: Share
    delete: Share
    mask: Share


class TextPreprocess(Preprocess):
    tokenizer: Literal["char", "word", "ngram"]
    max_length: Positive
    vocabulary: Positive
    buckets: Positive
    stop_words: Annotated[tuple[Line, ...], Field(max_length=10_000)]
    augment: TextAugment


class TextBaseline(SettingsBase):
    ngrams: tuple[Positive, Positive]
    max_features: Positive
    regularization: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _ngrams_in_order(self) -> Self:
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError(f"ngrams must be [shortest, longest], found {list(self.ngrams)}")
        return self


class TextTrain(Training):
    architecture: Literal["mlp", "cnn", "cnn_lstm", "ngram"]
    embedding: Positive
    filters: Positive
    kernel: Positive
    pool: Positive


class TextSettings(AnySettings):
    modality: Literal["text"]
    validate_: Annotated[TextValidate, Field(alias="validate")]
    preprocess: TextPreprocess
    baseline: TextBaseline
    train: TextTrain

    @model_validator(mode="after")
    def _order_kept(self) -> Self:
        if self.preprocess.tokenizer == "ngram" and self.train.architecture not in ("mlp", "ngram"):
            raise ValueError(
                f"{self.train.architecture} reads tokens in their order, which tokenizer ngram drops: "
                "set preprocess.tokenizer to char or word"
            )
        return self
