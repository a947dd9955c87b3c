"""Run a suite with Great Expectations, so that equal data gives equal bytes and no host is contacted."""

import errno
import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import pyarrow as pa
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
from great_expectations.execution_engine import pandas_execution_engine
from great_expectations.expectations import Expectation

from luodi import files
from luodi.data.shards import OF_GROUP, ORIGIN
from luodi.errors import ArtifactError, UserCodeFailed
from luodi.terminal import shown

SUITE = "suite.json"
pandas_execution_engine.HASH_THRESHOLD = 0  # bytes; a hash of every value takes longer than all expectations

BUILDER = logging.getLogger("great_expectations.render.renderer.site_builder")

# Great Expectations' pages load scripts, styles and pictures from half a dozen hosts, which would hear of every look at
# them. So they load nothing but what lies beside them, and run nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; font-src 'self'; img-src 'self' data:"
HEAD = f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}">'

# DVC hashes the outputs: the clock and random ids would make every run a change.
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
STAMP = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
LOCAL_TIME = re.compile(
    r"(?:1970-01-01|1969-12-31)[T ][\d:]{8}(?:Z|[+-][\d:]+| [A-Z]+| [+-]\d+)?"
)  # NO_TIME in any zone
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
VOLATILE = {"id", "validation_id", "validation_time", "run_time", "ge_load_time", "exception_traceback"}


def validate(name: str, table: pa.Table, expectations: list[Expectation], docs: Path) -> dict[str, Any]:
    """Validate `table` and build Data Docs in the new folder `docs`, with the suite beside them for Great Expectations.

    Returns:
        Great Expectations' result as JSON, without times and random ids.

    Raises:
        OSError: The disk is full.
        ArtifactError: A page of Data Docs cannot be made.
        UserCodeFailed: An expectation of a user's own cannot be checked.
    """
    context = _context(docs)
    suite = gx.ExpectationSuite(name=name, expectations=expectations)
    files.write_json(docs / SUITE, _without_volatile(suite.to_json_dict()))
    result = _run(context, name, table, suite)
    _build_docs(context)
    for page in docs.rglob("*.html"):
        text = _still(page.read_text(encoding="utf-8"))
        page.write_text(text.replace("<head>", HEAD, 1), encoding="utf-8")
    return result


def _run(context: Any, name: str, table: pa.Table, suite: gx.ExpectationSuite) -> dict[str, Any]:
    told = [name for name in table.column_names if name != ORIGIN and not name.startswith(OF_GROUP)]
    table = table.select(told)  # the others cost memory, and tell nothing
    batches = context.data_sources.add_pandas("pandas").add_dataframe_asset(name)
    definition = gx.ValidationDefinition(
        name=name,
        data=batches.add_batch_definition_whole_dataframe("all"),
        suite=context.suites.add(suite),
    )
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": table.to_pandas()},
        run_id=RunIdentifier(run_name=name, run_time=NO_TIME),
    )
    still: dict[str, Any] = _without_volatile(result.to_json_dict())
    for one in still["results"]:
        _require_checked(one, told)
    return still


def _require_checked(result: dict[str, Any], columns: list[str]) -> None:
    """Raise UserCodeFailed if an expectation of a user's own was not checked at all: it would look like a warning."""
    config, raised = result["expectation_config"], result.get("exception_info") or {}
    infos = [raised, *(one for one in raised.values() if isinstance(one, dict))]
    told = next((str(one.get("exception_message")) for one in infos if one.get("raised_exception")), None)
    if told is not None and "title" not in (config.get("meta") or {}):
        raise UserCodeFailed(
            f"{config['type']}, an expectation of your own, cannot be checked: {shown(told, 200)}; the columns are "
            f"{', '.join(columns)}: correct it"
        )


def _build_docs(context: Any) -> None:
    """Build Data Docs. What fails there, Great Expectations only logs, and leaves the page out."""
    failures: list[str] = []

    def hear(record: logging.LogRecord) -> bool:
        failures.append(record.getMessage())
        return False

    BUILDER.addFilter(hear)
    try:
        context.build_data_docs()
    finally:
        BUILDER.removeFilter(hear)
    if failures and os.strerror(errno.ENOSPC) in failures[0]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if failures:
        raise ArtifactError(f"Great Expectations cannot make its Data Docs: {failures[0].splitlines()[-1]}")


def _context(docs: Path) -> Any:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
    site = {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store}
    config = DataContextConfig(
        analytics_enabled=False,
        progress_bars={"globally": False},
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={"luodi": site},
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _still(page: str) -> str:
    """Replace the times and random ids of a page of Data Docs by fixed ones."""
    numbers: dict[str, str] = {}
    page = UUID.sub(lambda match: numbers.setdefault(match[0], f"id-{len(numbers)}"), page)
    page = LOCAL_TIME.sub("not recorded", page)
    return STAMP.sub(NO_TIME.strftime("%Y%m%dT%H%M%S.%fZ"), page)


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_volatile(item) for key, item in value.items() if key not in VOLATILE}
    return [_without_volatile(item) for item in value] if isinstance(value, list) else value
