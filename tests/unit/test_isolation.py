"""The unit tests' own guard: without it they could quietly come to need a machine."""

import os
import socket
import subprocess

import pytest

REFUSED = "starts no process and opens no connection"


def test_no_process() -> None:
    with pytest.raises(AssertionError, match=REFUSED):
        subprocess.run(["true"], check=False)
    with pytest.raises(AssertionError, match=REFUSED):
        os.system("true")  # noqa: S605
    with pytest.raises(AssertionError, match=REFUSED):
        os.posix_spawn("/bin/true", ["true"], {})
    with pytest.raises(AssertionError, match=REFUSED):
        os.fork()


def test_no_connection() -> None:
    with pytest.raises(AssertionError, match=REFUSED):
        socket.create_connection(("127.0.0.1", 9), timeout=1)
