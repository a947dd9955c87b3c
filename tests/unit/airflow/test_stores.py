"""Folders and URLs that name a connection or a variable of Airflow."""

import json
import os
import time
from pathlib import Path
from typing import Any

import bucket
import pytest
from pydantic import ValidationError

from luodi.config import Ingest, Monitor, Predict
from luodi.errors import RemoteError


def connect(monkeypatch: pytest.MonkeyPatch, name: str, **fields: Any) -> None:
    """Make a connection of Airflow, where no database of Airflow is asked."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


def looked_into(place: str) -> list[str]:
    from luodi.airflow.inbox import Inbox  # here: Airflow takes seconds, in each worker of pytest
    from luodi.airflow.stores import Store

    return Inbox(Store.find(place)).waiting()


def lie(path: Path) -> None:
    path.write_text("")
    os.utime(path, (time.time() - 60,) * 2)


def test_a_variable_holds_an_inbox_which_a_connection_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer finds it once it is there, and where it is when it changes; what it opened it keeps open."""
    from luodi.airflow.inbox import InboxTrigger

    connect(monkeypatch, "files", conn_type="fs")
    lie(tmp_path / "a.csv")
    (tmp_path / "sub").mkdir()
    trigger = InboxTrigger("variable://BOX")
    with pytest.raises(RemoteError, match=r"Airflow has no variable BOX, .*: make it \(`airflow variables set BOX"):
        trigger._look()
    monkeypatch.setenv("AIRFLOW_VAR_BOX", f"file://files@{tmp_path}")
    assert list(trigger._look()) == ["a.csv"]
    opened = trigger._box
    assert list(trigger._look()) == ["a.csv"] and trigger._box is opened
    monkeypatch.setenv("AIRFLOW_VAR_BOX", f"file://files@{tmp_path}/sub")
    assert list(trigger._look()) == [] and trigger._box is not opened


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://none@bucket/in", r"Airflow has no connection none, which opens s3://bucket/in: make it \(`airflow conn"),
        ("gs://other@bucket/in", r"other, which needs the package apache-airflow-providers-google in the environ"),
        ("abfs://other@box/in", r"other, which needs the package apache-airflow-providers-microsoft-azure in the"),
        ("abfs://none@box/in", r"box/in cannot be opened \(Airflow has no connection none: by what fsspec mak"),
        ("variable://NONE", r"Airflow has no variable NONE, which variable://NONE names: make it"),
        ("variable://WRONG", r"variable WRONG: expected the whole path of a folder, or a URL .*, found in/box$"),
        ("variable://KEYS", r"variable KEYS: expected the name of an Airflow connection before the @, and no key"),
        ("nothing://box", r"nothing://box cannot be opened: ValueError: Protocol not known: nothing"),
    ],
)
def test_what_cannot_be_opened_says_what_it_needs(place: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "other", conn_type="generic", password="hidden-by-all")
    monkeypatch.setenv("AIRFLOW_VAR_WRONG", "in/box")
    monkeypatch.setenv("AIRFLOW_VAR_KEYS", "s3://AKIAIOSFODNN7EXAMPLE:very-secret@bucket/in")
    with pytest.raises(RemoteError, match=message) as caught:
        looked_into(place)
    assert not any(secret in str(caught.value) for secret in ("hidden-by-all", "very-secret", "AKIAIOSFODNN7EXAMPLE"))


def test_a_user_of_a_host_is_no_connection() -> None:
    """As it was before connections were named; one of that name would be taken."""
    from luodi.airflow.stores import Store

    for place in ("sftp://luodi@host/in", "ftp://luodi@host/in", "ftp://luodi:word@host/in", "/srv/in@home"):
        assert Store.find(place) == Store(place)


@pytest.mark.slow
def test_a_bucket_is_opened_by_a_connection_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("airflow.providers.amazon")
    (tmp_path / "bucket" / "in").mkdir(parents=True)
    lie(tmp_path / "bucket" / "in" / "a.csv")
    with bucket.serve(tmp_path) as address:
        extra = {"endpoint_url": address, "region_name": "us-east-1"}
        connect(monkeypatch, "right", conn_type="aws", login=bucket.KEY, password=bucket.SECRET, extra=extra)
        connect(monkeypatch, "wrong", conn_type="aws", login=bucket.KEY, password="no-such-secret", extra=extra)
        assert looked_into("s3://right@bucket/in") == ["a.csv"]
        refused = r"s3://bucket/in cannot be looked into by the Airflow connection wrong: "
        with pytest.raises(RemoteError, match=refused) as caught:
            looked_into("s3://wrong@bucket/in")
    assert "no-such-secret" not in str(caught.value)


@pytest.mark.parametrize("place", ["variable://", "variable://a/b", "s3://KEY:SECRET@bucket/in", "gs://a:b@bucket"])
def test_an_inbox_names_what_can_be_and_holds_no_key(place: str) -> None:
    with pytest.raises(ValidationError, match=r"expected (variable://NAME|the name of an Airflow connection)"):
        Ingest(inbox=place)


@pytest.mark.parametrize("place", ["s3://connection@bucket/log", "variable://log"])
def test_what_is_opened_outside_of_airflow_names_no_connection(place: str) -> None:
    with pytest.raises(ValidationError, match="expected no connection or variable of Airflow"):
        Monitor(log=place)
    with pytest.raises(ValidationError, match="expected no connection or variable of Airflow"):
        Monitor(log="/srv/log", labels=place)
    assert Monitor(log="/srv/log", reports=place).reports == place
    assert Predict(input="s3://c@b/{date}/*", output="s3://c@b/out/{date}").input == "s3://c@b/{date}/*"
