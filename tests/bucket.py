"""S3, served for real: a folder whose folders are buckets."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY, SECRET = "key", "secretsecret"


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Give the address at which a folder is served; skip the test where there is no rclone."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if rclone is None:
        pytest.skip("no rclone, which serves S3")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [rclone, "serve", "s3", "--config", "", "--addr", f"127.0.0.1:{port}", str(folder)]
    with subprocess.Popen(command, env={**os.environ, "RCLONE_AUTH_KEY": f'"{KEY},{SECRET}"'}) as server:
        try:
            _answering(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _answering(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until the server takes connections."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None
        time.sleep(0.05)
    pytest.fail("rclone does not answer")
