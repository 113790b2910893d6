"""Which builder this is: the version, and the commit it was made of."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from builder.process import describe

# The command and the import package are called builder; on the package index that is another's.
DISTRIBUTION = "openstack-builder"
_PACKAGE = Path(__file__).parent


def version() -> str:
    """The version of the installed distribution."""
    return metadata.version(DISTRIBUTION)


def commit(package: Path = _PACKAGE) -> str | None:
    """The commit that ``package`` is of: what its wheel noted, or that of the checkout around it.

    It ends with ``-dirty`` if something was changed since; None where nobody knows.
    """
    noted = package / "commit.txt"
    if noted.is_file():
        return noted.read_text(encoding="utf-8").strip()
    return describe(package.parent) if (package.parent / ".git").exists() else None


def text() -> str:
    """What ``builder --version`` prints."""
    found = commit()
    return f"builder {version()} ({found or 'commit unknown'})"
