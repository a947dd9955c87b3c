"""The settings of DVC in a checkout or clone, which git does not keep."""

import re
from pathlib import Path

from luodi.errors import LuodiError
from luodi.files import write_text
from luodi.system.masking import redact

SITE = ".dvc/tmp/site"  # of a checkout or clone: where its DVC keeps its state

CONFIG = """\
[core]
    analytics = false
    check_update = false
    site_cache_dir = {site}
{default}
[cache]
    dir = {cache}
"""
REMOTE = """\
    remote = luodi
['remote "luodi"']
    url = {url}
    verify = true
"""
VERIFIED = """\
['remote "{name}"']
    verify = true
"""
"""A file that was damaged in the remote must not get into the cache: there it would stay when the remote is mended."""


def write(root: Path, remote: str | None, cache: Path) -> None:
    """Set the DVC of a clone to `cache`, and to `remote`; None leaves it that of the project's own settings."""
    default = REMOTE.format(url=quoted(remote)) if remote else ""
    config = CONFIG.format(site=quoted(own_site(root)), default=default, cache=quoted(cache))
    verified = VERIFIED.format(name=name) if not remote and (name := default_remote(root)) else ""
    write_text(root / ".dvc" / "config.local", config + verified)


def default_remote(root: Path) -> str | None:
    """Return the name of the DVC remote that the project's own settings make the default."""
    path = root / ".dvc" / "config"
    found = re.search(r"^\s*remote\s*=\s*(.+?)\s*$", path.read_text(encoding="utf-8") if path.exists() else "", re.M)
    return found[1].strip("\"'") if found else None


def own_site(root: Path) -> Path:
    """Return the folder in a checkout or clone where DVC keeps its state; nobody else can write to it.

    DVC loads pickles from there. By default it is one that all users of the machine share, and it lets them all write.
    """
    site = root / SITE
    (site / "repo").mkdir(parents=True, exist_ok=True)  # DVC would make it for everybody, whatever the umask
    site.chmod(0o700)
    return site


def quoted(value: str | Path) -> str:
    """Return `value` as DVC's settings must hold it: bare, a comma would make a list, a # end it.

    Raises:
        LuodiError: They cannot hold it, whatever the quotes.
    """
    text = str(value)
    quotes = [mark for mark in ('"', "'", "'''", '"""') if mark not in text]
    # DVC fills in %(NAME)s itself and knows no escape for it.
    if not quotes or text.splitlines() != [text] or re.search(r"%\([^)]*\)s", text):
        raise LuodiError(
            f"DVC's settings cannot hold {redact(text)!r}: expected a path or URL on one line, without %(...)s and "
            "without both kinds of triple quotes; choose another one"
        )
    return f"{quotes[0]}{text}{quotes[0]}"
