"""The connection to the engine and the translation of its errors, for all modules beside it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from builder.errors import BuilderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_on_whales import DockerClient

SETUP_HINT = "run scripts/setup, or start the Docker Engine of this machine"


class EngineError(BuilderError):
    """A command of the engine failed; ``output`` is what it said on stderr, ``reason`` its end."""

    def __init__(self, what: str, output: str) -> None:
        self.output = output.strip()
        self.reason = self.output.rpartition("\n")[2] or what
        super().__init__(f"{what}: {self.output}" if self.output else what)


class Client:
    """A Docker engine as the ``docker`` command finds it."""

    @cached_property
    def _docker(self) -> DockerClient:
        from python_on_whales import DockerClient  # importing it costs 160 ms

        return DockerClient()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what the engine reports within as an ``EngineError`` that begins with ``what``."""
    from python_on_whales import DockerException

    try:
        yield
    except DockerException as error:
        raise EngineError(what, error.stderr or "") from error


def last_line(error: Exception) -> str:
    """The last thing that an error says, which with Docker's is the reason."""
    from python_on_whales import DockerException

    text = (error.stderr or "") if isinstance(error, DockerException) else str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
