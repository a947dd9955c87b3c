"""What luodi expects of a batch of texts."""

from great_expectations import expectations as gx

from luodi.checks.suite import CRITICAL, WARNING, batch, expect, labels, mostly, never, percent, schema
from luodi.checks.text.measures import ITEM, OUT_OF_BOUNDS
from luodi.config import TextSettings as ModelSettings


def build(settings: ModelSettings) -> list[gx.Expectation]:
    """Return the expectations of a model; they look at a table made by `measures.measure`."""
    allowed = settings.validate_.max_quarantined_share
    return [
        *schema(["text", "label", "source", "shard", "row"], ["text", "label", "source"]),
        expect(gx.ExpectColumnValuesToNotBeNull, CRITICAL, "No text is missing",
               f"at most {percent(allowed)} of rows lack a text "
              "(validate.max_quarantined_share)", idle=allowed >= 1, column="text", mostly=mostly(allowed)),
        *labels(settings, ITEM),
        *_texts(settings),
        *batch(settings, ITEM),
    ]  # fmt: skip


def _texts(settings: ModelSettings) -> list[gx.Expectation]:
    limits = settings.validate_
    bounds = (
        f"every text has {limits.min_length:,} to {limits.max_length:,} characters (validate.min_length, max_length)"
    )
    return [
        never(WARNING, "No text is blank", "every text shows at least one character", "text is blank"),
        # Not ExpectColumnValuesToBeBetween: Great Expectations calls a function of Python for each row of it.
        never(WARNING, "Lengths are within bounds", bounds, OUT_OF_BOUNDS),
        never(WARNING, "No replacement characters", "no text holds U+FFFD, the trace of a wrong decoding",
              "text holds U+FFFD"),
        never(WARNING, "No control characters", "no text holds control characters but tab and line ends",
              "text holds control characters"),
        expect(gx.ExpectColumnMinToBeBetween, WARNING, "Texts are Chinese",
               f"at least {percent(limits.min_chinese_share)} of all letters are Chinese "
              "(validate.min_chinese_share)", "share",
               idle=limits.min_chinese_share <= 0, column="share of Chinese", min_value=limits.min_chinese_share),
    ]  # fmt: skip
