"""What luodi expects of every batch, as Great Expectations built from params.yaml.

Critical is what would break or mislead training; the rest is a warning, and its rows are quarantined.
Each expectation carries in `meta` what was expected in words, its title, the unit of what it observes ("rows",
"texts", "images", "intensity", "share" or "names") and, for a figure over all rows, the column that marks the rows to
show as examples; "idle" where its limit is set so that no rows can break it; `beside` is the column of the place of
another row to show with each example. `item` is "text" or "image", as in `rows`.
"""

from typing import Any

from great_expectations import expectations as gx

from luodi.checks import quarantine
from luodi.config import ModelSettings

CRITICAL, WARNING = "critical", "warning"

# Of all that an expectation says, Great Expectations puts its description alone into Data Docs as it stands: as HTML in
# which $NAME is filled in. It holds labels, which come from the data.
INERT = {ord(char): f"&#{ord(char)};" for char in "<>&\"'$\n\r"}


def schema(present: list[str], strings: list[str]) -> list[gx.Expectation]:
    """Columns that must be there, and those of them that must hold strings."""
    return [
        expect(gx.ExpectTableColumnsToMatchSet, CRITICAL, "Columns are present",
               f"columns {', '.join(present)}", "names", column_set=present, exact_match=False),
        *(expect(gx.ExpectColumnTypeToBe, CRITICAL, f"Column {column} is a string",
                 f"{column} holds text", "names", column=column, type_="str") for column in strings),
    ]  # fmt: skip


def labels(settings: ModelSettings, item: str) -> list[gx.Expectation]:
    """What labels and sources must be."""
    known, limits = list(settings.labels), settings.validate_
    allowed = limits.max_quarantined_share
    return [
        expect(gx.ExpectColumnValuesToNotBeNull, CRITICAL, "No label is missing",
               f"at most {percent(allowed)} of rows lack a label (validate.max_quarantined_share)",
               idle=allowed >= 1, column="label", mostly=mostly(allowed)),
        expect(gx.ExpectColumnValuesToNotBeNull, WARNING, "No source is missing",
               "every row names its source", column="source"),
        # A warning: rows of a class that nobody admitted yet are held back, and stop nothing unless they are too many.
        never(WARNING, "Labels are known", f"every label is one of {', '.join(known)}", "label is unknown"),
        expect(gx.ExpectColumnDistinctValuesToContainSet, CRITICAL, "Every label occurs",
               f"at least one row each of {', '.join(known)}", "names", column="label", value_set=known),
        # Critical, for a lopsided batch flatters the accuracy that a version is judged by.
        expect(gx.ExpectColumnMinToBeBetween, CRITICAL, "Classes are balanced",
               f"the rarest label has at least {percent(limits.min_class_share)} of rows "
              "(validate.min_class_share)", "share",
               idle=limits.min_class_share <= 0, column="share of the label", min_value=limits.min_class_share),
        expect(gx.ExpectColumnUniqueValueCountToBeBetween, WARNING, "Labels agree",
               f"at most {limits.max_contradictions:,} {item}s carry several labels "
              "(validate.max_contradictions)", f"{item}s",
               flag=quarantine.contradiction(item), column=f"contradicting {item}",
               max_value=limits.max_contradictions),
    ]  # fmt: skip


def batch(settings: ModelSettings, item: str) -> list[gx.Expectation]:
    """What the rows must be together."""
    limits = settings.validate_
    return [
        expect(gx.ExpectTableRowCountToBeBetween, CRITICAL, "Enough rows",
               f"at least {limits.min_rows:,} rows (validate.min_rows)", idle=limits.min_rows <= 1,
               min_value=limits.min_rows),
        never(WARNING, "Few duplicates",
              f"at most {percent(limits.max_duplicate_share)} of rows repeat {'an' if item == 'image' else 'a'} {item} "
              "(validate.max_duplicate_share)",
              quarantine.duplicate(item), limits.max_duplicate_share),
        never(CRITICAL, quarantine.FEW,
              f"at most {percent(limits.max_quarantined_share)} of rows are quarantined "
              "(validate.max_quarantined_share)",
              quarantine.HELD, limits.max_quarantined_share),
    ]  # fmt: skip


def never(
    severity: str, title: str, expected: str, flag: str, allowed: float = 0.0, *, beside: str | None = None
) -> gx.Expectation:
    """Expect that `flag` marks no row, or at most the share `allowed` of rows."""
    kind = gx.ExpectColumnValuesToBeInSet
    return expect(
        kind, severity, title, expected, beside=beside, idle=allowed >= 1, column=flag, value_set=[False],
        mostly=mostly(allowed),
    )  # fmt: skip


def expect(
    kind: type[gx.Expectation],
    severity: str,
    title: str,
    expected: str,
    unit: str = "rows",
    *,
    flag: str | None = None,
    beside: str | None = None,
    idle: bool = False,
    **kwargs: Any,
) -> gx.Expectation:
    """Return an expectation in the form that `findings` reads; see the top of this file for its words."""
    meta: dict[str, Any] = {"title": title, "expected": expected, "unit": unit, "flag": flag}
    meta |= ({"beside": beside} if beside else {}) | ({"idle": True} if idle else {})
    return kind(severity=severity, description=expected.translate(INERT), meta=meta, **kwargs)


def percent(share: float) -> str:
    return f"{100 * share:g}%"


def mostly(allowed: float) -> float:
    return round(1 - allowed, 12)  # 1 - 0.9 is a little less than 0.1
