"""What luodi expects of a batch of images."""

from great_expectations import expectations as gx

from luodi.checks import quarantine
from luodi.checks.image.measures import CONSTANT, EARLIER, ITEM, NEAR
from luodi.checks.suite import CRITICAL, WARNING, batch, expect, labels, never, percent, schema
from luodi.config import ImageSettings as ModelSettings
from luodi.data.image import ANIMATED, CMYK, DEEP, TOO_LARGE, TOO_SMALL, UNDECODABLE


def build(settings: ModelSettings) -> list[gx.Expectation]:
    """Return the expectations of a model; they look at a table made by `measures.measure`."""
    allowed = settings.validate_.max_quarantined_share
    return [
        *schema(["label", "source", "shard", "row"], ["label", "source"]),
        never(CRITICAL, "No image is missing", f"at most {percent(allowed)} of rows lack an image "
              "(validate.max_quarantined_share)",
              quarantine.missing(ITEM), allowed),
        *labels(settings, ITEM),
        *_files(),
        *_pictures(settings),
        *batch(settings, ITEM),
    ]  # fmt: skip


def _files() -> list[gx.Expectation]:
    return [
        never(WARNING, "Images can be decoded", "every image is a whole file of a kind that is read", UNDECODABLE),
        never(WARNING, "No image is animated", "every image is one picture", ANIMATED),
        never(WARNING, "Channels have 8 bits", "no image has more than 8 bits per channel", DEEP),
        never(WARNING, "No image is CMYK", "every image is grey, palette or RGB, with or without alpha", CMYK),
    ]


def _pictures(settings: ModelSettings) -> list[gx.Expectation]:
    limits = settings.validate_
    return [
        never(WARNING, "No image is too small", f"every side has at least {limits.min_side:,} pixels "
              "(validate.min_side)", TOO_SMALL),
        never(WARNING, "No image is too large", f"every side has at most {limits.max_side:,} pixels "
              "(validate.max_side)", TOO_LARGE),
        never(WARNING, "No image is nearly constant",
              f"the standard deviation of every image's intensity is at least {limits.min_contrast:g} "
              "(validate.min_contrast)", CONSTANT),
        expect(gx.ExpectColumnMeanToBeBetween, WARNING, "Intensity is in range",
               f"the mean intensity of all images is {limits.min_intensity:g} to {limits.max_intensity:g} "
               "(validate.min_intensity, max_intensity)",
               "intensity", idle=limits.min_intensity <= 0 and limits.max_intensity >= 1, column="intensity",
               min_value=limits.min_intensity, max_value=limits.max_intensity),
        never(WARNING, "Few near duplicates",
              f"at most {percent(limits.max_near_duplicate_share)} of rows look like an earlier one and differ from it "
              "(validate.max_near_duplicate_share)",
              NEAR, limits.max_near_duplicate_share, beside=EARLIER),
    ]  # fmt: skip
