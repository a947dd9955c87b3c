"""`dvc`, except for two things that it has no setting for.

An SSH remote whose host key is not known is refused, as ssh itself refuses it in a script: sshfs, on which DVC's SSH
remotes stand, accepts any. And the files of a cache that only this user may enter are for this user alone.

Several commands stand between semicolons: `repro train@reviews ; push train@reviews`. Each needs the one before it to
have gone well, and DVC is imported once, which takes as long as a small command.

This file is run by its path, from the installed luodi, whatever code a clone holds.
"""

import os
import sys
from pathlib import Path
from typing import Any


def check_host_keys() -> None:
    """Let DVC's SSH remotes trust the hosts in OpenSSH's two files and no others."""
    try:
        from dvc_ssh import SSHFileSystem
    except ImportError:
        return  # DVC has no SSH remotes here
    prepare = SSHFileSystem._prepare_credentials
    files = (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))

    def prepare_checked(self: Any, **config: Any) -> dict[str, Any]:
        known = [str(path) for path in files if path.exists()]
        return {**prepare(self, **config), "known_hosts": known or b""}

    SSHFileSystem._prepare_credentials = prepare_checked


def keep_private() -> None:
    """Let DVC write-protect the files of a private cache, or folder remote, by 0400, not by 0444."""
    from dvc_data.hashfile.db.local import LocalHashFileDB

    def mode(self: Any) -> int:
        others = os.stat(self.path).st_mode & 0o077 if os.path.exists(self.path) else 0o077  # noqa: PTH110, PTH116
        return 0o444 if others else 0o400

    LocalHashFileDB.CACHE_MODE = property(mode)  # type: ignore[assignment]


if __name__ == "__main__":
    from dvc.cli import main

    check_host_keys()
    keep_private()
    code, arguments = 0, sys.argv[1:]
    while arguments and not code:
        end = arguments.index(";") if ";" in arguments else len(arguments)
        code = main(arguments[:end])
        arguments = arguments[end + 1 :]
    sys.exit(code)
