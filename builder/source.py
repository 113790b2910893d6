"""Finds the URL of the project's source for the images' labels and their provenance."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from builder.errors import UsageError
from builder.loopback import is_loopback
from builder.process import remote

if TYPE_CHECKING:
    from pathlib import Path

_WEB = ("https", "http")
_GIT = ("ssh", "git", "git+ssh", "ssh+git")
# git's short form of ssh://. Without a dot the host may be a name of the user's own.
_SHORT = re.compile(r"(?:[^@/:\s]+@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?P<path>[^\s]+)", re.ASCII)
_HOST = re.compile(r"[\w.-]+|\[[0-9a-f:.]+\]", re.ASCII)
_PATH = re.compile(r"[\w.~%+@/-]*[\w~%+@-][\w.~%+@/-]*", re.ASCII)


def find(given: str | None, root: Path) -> str | None:
    """``given``, else the repository of this CI job, else the remote of the checkout ``root``.

    None where there is none, or none that others could reach. Raises ``UsageError`` for one that
    is ``given`` and no such URL.
    """
    if given:
        found = normal(given)
        if found is None:
            raise UsageError(
                f"{given} is no URL of a source that others could reach",
                hint="--source https://HOST/PATH, without a fragment",
            )
        return found
    return normal(_of_ci()) or normal(remote(root))


def missing(message: str, hint: str) -> UsageError:
    """The error about images that leave this machine and would not say where they come from."""
    return UsageError(message, hint=f"{hint} --source https://HOST/PATH, or set BUILDER_SOURCE")


def normal(url: str) -> str | None:
    """``url`` as everybody writes it, without credentials; None for what is only on this machine.

    What git reaches by SSH is named by HTTPS: two clones of one repository name one source.
    """
    if short := _SHORT.fullmatch(url) if "://" not in url else None:
        url = f"ssh://{short['host']}/{short['path']}"
    if re.search(r"\s", url):  # urlsplit would leave some of it out
        return None
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    host = f"[{name}]" if ":" in name else name
    path = parts.path.strip("/").removesuffix(".git")
    if parts.scheme not in (*_WEB, *_GIT) or not _HOST.fullmatch(host) or not _PATH.fullmatch(path):
        return None
    if is_loopback(f"{host}:0") or (parts.scheme in _GIT and "." not in name):
        return None
    scheme = parts.scheme if parts.scheme in _WEB else "https"
    at = f"{host}:{port}" if port and parts.scheme in _WEB else host
    return f"{scheme}://{at}/{path}"


def _of_ci() -> str:
    """GitHub's variables, or GitLab's."""
    server, repository = (
        os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY")
    )
    if server and repository:
        return f"{server}/{repository}"
    return os.environ.get("CI_PROJECT_URL", "")
