"""What several commands do alike."""

import sys
from pathlib import Path

import pytest

from luodi.cli.arguments import typed
from luodi.data import columns, tables
from luodi.errors import MissingColumn


def test_an_error_of_columns_ends_in_the_command_that_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my hotels.csv"
    path.write_text("".join(f"{row % 2},room {row} was fine\n" for row in range(9)))
    monkeypatch.setattr(sys, "argv", ["/bin/luodi", "add", "new", "--modality", "text", "--from", "my hotels.csv"])
    with pytest.raises(MissingColumn) as caught, typed():
        columns.choose_columns(tables.look(path), columns.NOTHING)
    first, second = str(caught.value).splitlines()
    assert "cannot tell the column of the texts" in first
    assert second == (
        "  luodi add new --modality text --from 'my hotels.csv' --no-header --text-column 2 --label-column 1"
    )


def test_an_error_that_knows_no_columns_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(MissingColumn, match=r"`x`, found text, label$"), typed():
        columns.choose_columns(tables.look(tmp_path / "a.csv"), columns.Wanted("x"))
