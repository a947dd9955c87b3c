"""Check the raw rows, hold back the bad ones, and write what was found before saying so."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from luodi import files
from luodi.checks import findings, profile, rows
from luodi.checks.findings import Finding
from luodi.config import Model
from luodi.data import shards
from luodi.errors import NothingLeft, ValidationFailed
from luodi.paths import ModelPaths
from luodi.report import page

SHOWN = 50  # rows of the quarantine in the report


def run(config: Model, paths: ModelPaths) -> None:
    """Read the shards and write clean rows, quarantine, result, Data Docs and report.

    Raises:
        DataError: The shards cannot be used.
        NothingLeft: Every row was quarantined.
        ValidationFailed: A critical expectation failed; all outputs are written.
    """
    table = shards.read(paths.data, config.modality)
    from luodi.checks import engine, suite  # here, not above: Great Expectations takes seconds to start

    marks = rows.flags(table, config.labels, config.validate_)
    measured = rows.measure(table, marks, config.labels)
    clean, quarantine = rows.split(table, marks)
    with files.replacing_folder(paths.data_docs) as docs:
        result = engine.validate(paths.model, measured, suite.build(config), docs)
    found = findings.read(result, measured)

    _write_table(paths.clean, clean)
    _write_table(paths.quarantine, quarantine)
    files.write_json(paths.validation_result, result)
    files.write_text(paths.validation_report, report(paths.model, config, measured, quarantine, found))
    print(f"{paths.model}: {summary(measured, quarantine, found)}")
    _judge(paths, clean, found)


def report(model: str, config: Model, measured: pa.Table, quarantine: pa.Table, found: list[Finding]) -> str:
    """Return the report page of `measured`, a table made by `rows.measure`."""
    reasons = quarantine["reasons"].combine_chunks().flatten().value_counts().to_pylist()
    return page.render(
        "validation",
        model=model,
        verdict=findings.verdict(found),
        findings=found,
        counts=_counts(measured, quarantine),
        profile=profile.profile(measured, config.labels),
        reasons=sorted(reasons, key=lambda one: (-one["counts"], one["values"])),
        held=[(findings.example(row), row) for row in quarantine.slice(0, SHOWN).to_pylist()],
        percent=findings.percent,
    )


def summary(measured: pa.Table, quarantine: pa.Table, found: list[Finding]) -> str:
    """Return one line: the verdict and the counts of rows."""
    counts = _counts(measured, quarantine)
    return f"{findings.verdict(found)}; " + ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _counts(measured: pa.Table, quarantine: pa.Table) -> dict[str, int]:
    total, held = measured.num_rows, quarantine.num_rows
    duplicates = int(measured[rows.DUPLICATE].to_numpy().sum())
    return {"rows in": total, "clean": total - held, "quarantined": held, "duplicates": duplicates}


def _judge(paths: ModelPaths, clean: pa.Table, found: list[Finding]) -> None:
    where = f"{findings.message(found)}\nopen {paths.validation_report} for the full report"
    if clean.num_rows == 0:
        raise NothingLeft(f"every row of {paths.model} was quarantined, none is left to train on:\n{where}")
    if findings.verdict(found) == findings.FAILED:
        raise ValidationFailed(f"the data of {paths.model} broke a critical expectation:\n{where}")


def _write_table(path: Path, table: pa.Table) -> None:
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary)
