"""`dvc`, except that an SSH remote whose host key is not known is refused, as ssh itself refuses it in a script.

sshfs, on which DVC's SSH remotes stand, accepts any host key unless it is told otherwise, and DVC has no setting that
tells it. This file is run by its path, from the installed luodi, whatever code a clone holds.
"""

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


if __name__ == "__main__":
    from dvc.cli import main

    check_host_keys()
    sys.exit(main())
