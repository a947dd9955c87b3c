"""Hypothesis without deadlines: a busy machine is not a failure. `make check` takes fewer examples."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("luodi", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("luodi")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file all of whose tests are left out: what it imports takes each worker of pytest seconds."""
    left_out = "not slow" in config.option.markexpr and collection_path.suffix == ".py"
    return True if left_out and "\npytestmark = pytest.mark.slow\n" in collection_path.read_text("utf-8") else None
