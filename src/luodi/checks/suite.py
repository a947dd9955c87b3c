"""What luodi expects of a batch, as Great Expectations built from params.yaml.

Critical is what would break or mislead training; the rest is a warning, and its rows are quarantined.
Each expectation carries what was expected in words (description), and in `meta` its title, the unit of
what it observes ("rows", "texts", "share" or "names") and, for a figure over all rows, the column that
marks the rows to show as examples.
"""

from typing import Any

from great_expectations import expectations as gx

from luodi.checks.rows import CONTRADICTION, DUPLICATE, HELD
from luodi.config import Model

CRITICAL, WARNING = "critical", "warning"


def build(config: Model) -> list[gx.Expectation]:
    """Return the expectations of a model; they look at a table made by `rows.measure`."""
    return [*_schema(config), *_labels(config), *_texts(config), *_batch(config)]


def _schema(config: Model) -> list[gx.Expectation]:
    columns = ["text", "label", "source", "shard", "row"]
    allowed = config.validate_.max_quarantined_share
    return [
        _expect(gx.ExpectTableColumnsToMatchSet, CRITICAL, "Columns are present",
                f"columns {', '.join(columns)}", "names", column_set=columns, exact_match=False),
        *(_expect(gx.ExpectColumnTypeToBe, CRITICAL, f"Column {column} is a string",
                  f"{column} has type str", "names", column=column, type_="str") for column in columns[:3]),
        _expect(gx.ExpectColumnValuesToNotBeNull, CRITICAL, "No text is missing",
                f"at most {_percent(allowed)} of rows lack a text", column="text", mostly=_mostly(allowed)),
        _expect(gx.ExpectColumnValuesToNotBeNull, CRITICAL, "No label is missing",
                "every row has a label", column="label"),
        _expect(gx.ExpectColumnValuesToNotBeNull, WARNING, "No source is missing",
                "every row names its source", column="source"),
    ]  # fmt: skip


def _labels(config: Model) -> list[gx.Expectation]:
    labels, limits = list(config.labels), config.validate_
    return [
        _never(CRITICAL, "Labels are known", f"every label is one of {', '.join(labels)}", "label is unknown"),
        _expect(gx.ExpectColumnDistinctValuesToContainSet, CRITICAL, "Every label occurs",
                f"at least one row each of {', '.join(labels)}", "names", column="label", value_set=labels),
        # Critical, for a lopsided batch flatters the accuracy that a version is judged by.
        _expect(gx.ExpectColumnMinToBeBetween, CRITICAL, "Classes are balanced",
                f"the rarest label has at least {_percent(limits.min_class_share)} of rows", "share",
                column="share of the label", min_value=limits.min_class_share),
        _expect(gx.ExpectColumnUniqueValueCountToBeBetween, WARNING, "Labels agree",
                f"at most {limits.max_contradictions:,} texts carry several labels", "texts",
                flag=CONTRADICTION, column="contradicting text", max_value=limits.max_contradictions),
    ]  # fmt: skip


def _texts(config: Model) -> list[gx.Expectation]:
    limits = config.validate_
    bounds = f"every text has {limits.min_length:,} to {limits.max_length:,} characters"
    return [
        _never(WARNING, "No text is blank", "every text shows at least one character", "text is blank"),
        _expect(gx.ExpectColumnValuesToBeBetween, WARNING, "Lengths are within bounds", bounds,
                column="characters", min_value=limits.min_length, max_value=limits.max_length),
        _never(WARNING, "No replacement characters", "no text holds U+FFFD, the trace of a wrong decoding",
               "text holds U+FFFD"),
        _never(WARNING, "No control characters", "no text holds control characters but tab and line ends",
               "text holds control characters"),
        _expect(gx.ExpectColumnSumToBeBetween, WARNING, "Texts are Chinese",
                f"at least {_percent(limits.min_chinese_share)} of all letters are Chinese", "share",
                column="Chinese part", min_value=limits.min_chinese_share),
    ]  # fmt: skip


def _batch(config: Model) -> list[gx.Expectation]:
    limits = config.validate_
    return [
        _expect(gx.ExpectTableRowCountToBeBetween, CRITICAL, "Enough rows",
                f"at least {limits.min_rows:,} rows", min_value=limits.min_rows),
        _never(WARNING, "Few duplicates", f"at most {_percent(limits.max_duplicate_share)} of rows repeat a text",
               DUPLICATE, limits.max_duplicate_share),
        _never(CRITICAL, "Few rows are held back",
               f"at most {_percent(limits.max_quarantined_share)} of rows are quarantined",
               HELD, limits.max_quarantined_share),
    ]  # fmt: skip


def _never(severity: str, title: str, expected: str, flag: str, allowed: float = 0.0) -> gx.Expectation:
    """Expect that `flag` marks no row, or at most the share `allowed` of rows."""
    kind = gx.ExpectColumnValuesToBeInSet
    return _expect(kind, severity, title, expected, column=flag, value_set=[False], mostly=_mostly(allowed))


def _expect(
    kind: type[gx.Expectation],
    severity: str,
    title: str,
    expected: str,
    unit: str = "rows",
    *,
    flag: str | None = None,
    **kwargs: Any,
) -> gx.Expectation:
    meta = {"title": title, "unit": unit, "flag": flag}
    return kind(severity=severity, description=expected, meta=meta, **kwargs)


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _mostly(allowed: float) -> float:
    return round(1 - allowed, 12)  # 1 - 0.9 is a little less than 0.1
