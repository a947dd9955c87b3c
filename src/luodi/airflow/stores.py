"""A folder of this host or at a URL, which may name an Airflow connection that opens it, or a variable that holds it.

A connection is named as in Airflow's `ObjectStoragePath`: `s3://CONNECTION@bucket/folder`. That class is not used: it
hides why a store does not open, and keeps what it opened for as long as its process lives, the triggerer for months.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

from luodi.config.operations import BY_CONNECTION, VARIABLE, folder_or_url
from luodi.errors import LuodiError, RemoteError
from luodi.system.masking import redact
from luodi.terminal import shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PROVIDERS = (
    dict.fromkeys(("s3", "s3a", "s3n"), "amazon[s3fs]")
    | dict.fromkeys(("gs", "gcs"), "google")
    | dict.fromkeys(("abfs", "abfss", "adl"), "microsoft-azure")
    | dict.fromkeys(("sftp", "ssh"), "sftp[sshfs]")
)
"""Which package of Airflow's opens a URL by a connection, and with what."""
NAMED = re.compile(r"([A-Za-z][\w+.-]*)://([^/@]+)@(.*)", re.DOTALL)


@dataclass(frozen=True)
class Store:
    """Where files lie. Two are equal where the same place is opened by the same credentials.

    Attributes:
        url: A folder, or a URL, without the name of a connection.
        connection: What opens it; None: fsspec, by the credentials that the process has.
    """

    url: str
    connection: Connection | None = None

    @classmethod
    def find(cls, setting: str) -> "Store":
        """Ask Airflow for what a setting names: within a task, or in a thread of the triggerer.

        Raises:
            RemoteError: Airflow has no such variable or connection, or the variable holds something else.
        """
        url = _of_variable(setting)
        if not (named := NAMED.fullmatch(url)):
            return cls(url)
        scheme, name, rest = named.groups()
        if (scheme not in PROVIDERS and scheme not in BY_CONNECTION) or ":" in name:
            return cls(url)
        try:
            return cls(f"{scheme}://{rest}", Connection.get(name))
        except AirflowNotFoundException:
            if scheme not in BY_CONNECTION:  # it is the user, or the container, that such a URL has there
                return cls(url)
            raise RemoteError(
                f"Airflow has no connection {shown(name)}, which opens {scheme}://{shown(rest)}: make it "
                f"(`airflow connections add {shown(name)}`, or *Admin*, *Connections*), or name another before the @"
            ) from None

    def open(self) -> "tuple[AbstractFileSystem, str]":
        """Return the file system, and the path in it.

        Raises:
            RemoteError: It cannot be opened.
        """
        import fsspec  # here: who parses the DAGs needs none

        with self.answering("cannot be opened"):
            if self.connection is None:
                opened: tuple[AbstractFileSystem, str] = fsspec.url_to_fs(self.url)
                return opened
            fs = _by(self.connection, self.url)
            return fs, str(fs._strip_protocol(self.url))

    @contextmanager
    def answering(self, trouble: str) -> Iterator[None]:
        """Raise whatever a store or its library raises as RemoteError; what is luodi's own stays what it is."""
        try:
            yield
        except LuodiError:
            raise
        except Exception as error:  # each library has its own
            by = f" by the Airflow connection {self.connection.conn_id}" if self.connection else ""
            if not self.connection and (named := NAMED.fullmatch(self.url)) and named[1] in PROVIDERS:
                by = f" (Airflow has no connection {shown(named[2])}: by what fsspec makes of the address)"
            why = redact(f"{type(error).__name__}: {error}")
            raise RemoteError(f"{redact(self.url)} {trouble}{by}: {shown(why, 500)}") from None


def _of_variable(setting: str) -> str:
    """What the variable holds that a setting names, else the setting."""
    if not setting.startswith(VARIABLE):
        return setting
    name = setting.removeprefix(VARIABLE)
    try:
        held = str(Variable.get(name))
        return folder_or_url(held)
    except AirflowRuntimeError:
        raise RemoteError(
            f"Airflow has no variable {name}, which {setting} names: make it (`airflow variables set {name} "
            "URL`, or *Admin*, *Variables*)"
        ) from None
    except ValueError as error:
        raise RemoteError(f"the Airflow variable {name}: {error}, found {shown(redact(held))}") from None


def _by(connection: Connection, url: str) -> "AbstractFileSystem":
    """The file system that Airflow makes of a connection."""
    from airflow.sdk.io import get_fs, has_fs  # loads all providers

    scheme = url.partition("://")[0]
    try:
        if has_fs(scheme):
            return get_fs(scheme, connection.conn_id)
    except ImportError:  # the provider is there, what it opens by is not
        pass
    raise RemoteError(
        f"{url} is opened by the Airflow connection {connection.conn_id}, which needs the package "
        f"apache-airflow-providers-{PROVIDERS[scheme]} in the environments of the tasks and of the triggerer"
    )
