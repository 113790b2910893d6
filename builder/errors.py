"""The kinds of errors, each with its exit code.

=====  ======================================================================
code   meaning
=====  ======================================================================
0      everything that was asked for was done
1      a build, a smoke test, a suite, a scan, a push or a verification failed
2      bad usage or a mistake in a configuration file; nothing was started
3      the machine is not ready: engine, buildx, disk, network, registry
4      the scan policy blocks the set
130    interrupted
=====  ======================================================================
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INTERRUPTED = 130


class BuilderError(Exception):
    """An expected failure: one message for the user, and what to do next as ``hint``.

    ``page`` is where the documentation says more, such as ``how-to/scan.md#the-policy``: that of
    the kind of error, unless a better one is given.
    """

    exit_code = 1
    page = ""

    def __init__(self, message: str, *, hint: str | None = None, page: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.page = page or self.page

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(BuilderError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ConfigError(BuilderError):
    """A configuration file is wrong; ``line`` and ``column`` count from 1."""

    exit_code = 2

    def __init__(
        self,
        path: Path,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        page: str = "",
    ) -> None:
        self.path, self.line, self.column = path, line, column
        where = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{where}: {message}", hint=hint, page=page)


class LockError(BuilderError):
    """A lock is missing, is older than the catalogue, or cannot be resolved."""

    exit_code = 2


class MachineError(BuilderError):
    """The machine lacks something that the work needs: nothing was built."""

    exit_code = 3
    page = "how-to/doctor.md"


class BuildError(BuilderError):
    """A target did not build."""

    page = "how-to/troubleshooting.md#a-step-fails"


class ReleasesError(BuilderError):
    """Some releases of a run failed; each said why."""


class StartError(BuilderError):
    """A set did not become healthy."""

    page = "how-to/troubleshooting.md#it-does-not-become-ready"


class CloudError(BuilderError):
    """A running cloud did not do what a test needs of it."""

    page = "how-to/clouds.md"


class SmokeError(BuilderError):
    """A check of the running set failed."""

    page = "how-to/troubleshooting.md#the-set-fails-its-test"


class SuiteError(BuilderError):
    """A suite of others did not come to a result."""

    page = "reference/suites.md"


class ScanError(BuilderError):
    """Trivy could not scan an image."""

    page = "how-to/scan.md"


class PolicyError(BuilderError):
    """The scan policy blocks a set: a finding, or that it could not be scanned."""

    exit_code = 4
    page = "how-to/troubleshooting.md#the-policy-blocks"


class PublishError(BuilderError):
    """The registry does not hold what was pushed."""

    page = "reference/registries.md"


class RefusedError(PublishError):
    """The registry answers, and refuses: neither the connection nor the user's rights are at fault.

    It keeps refusing: what may pass was tried again before. ``status`` is that of HTTP, if any.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, page: str = "", status: int = 0
    ) -> None:
        super().__init__(message, hint=hint, page=page)
        self.status = status


class VerifyError(BuilderError):
    """An image is not what its publisher is trusted to have published."""

    page = "how-to/verify.md"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown ``name``: the nearest known one, then all of them."""
    names = list(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.5)
    listing = f"known: {', '.join(names) or 'none'}"
    return f"did you mean {nearest[0]}? ({listing})" if nearest else listing
