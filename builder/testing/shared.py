"""Clouds that the tests of a run share, in however many processes it has them.

A run is a directory. Its files say which clouds were begun and which are up; locks on them order
the processes, and the kernel gives back the locks of one that crashes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cloud.up import Cloud
from builder.errors import BuilderError, StartError
from builder.testing import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from builder.stack.resolve import ResolvedStack
    from builder.testing.start import Settings

_PREFIX = "builder-pytest-"
# Seconds that containers of a killed process may still appear.
_SETTLE = 5.0


class Run:
    """One run of pytest; its first process creates and removes the state of the run."""

    def __init__(self, directory: Path, notify: Callable[[str], None] = lambda _: None) -> None:
        self.directory = directory
        self.notify = notify
        self.id = directory.name.removeprefix(_PREFIX)

    @classmethod
    def create(cls) -> tuple[Run, ExitStack]:
        """A new run, and the lock that says that its first process lives."""
        # The run's id is part of a cloud's name, which has no underscore: mkdtemp's may have one.
        directory = Path(tempfile.gettempdir()) / f"{_PREFIX}{secrets.token_hex(4)}"
        directory.mkdir(mode=0o700)
        run = cls(directory)
        held = ExitStack()
        held.enter_context(run._locked("owner", fcntl.LOCK_EX))
        return run, held

    def cloud(self, needed: ResolvedStack, settings: Settings) -> Cloud:
        """The run's cloud for ``needed``, started by the first call.

        Raises what the start raised, in every process that asks.
        """
        key = key_of(needed)
        state = self.directory / f"{key}.json"
        # One start at a time: a cloud takes the ports that it finds free.
        with self._locked("start", fcntl.LOCK_EX):
            if not state.exists():
                _write(state, self._start(needed, settings, f"pytest-{self.id}-{key}"))
        found = json.loads(state.read_text(encoding="utf-8"))
        if "error" in found:
            raise StartError(found["error"], hint=found["hint"])
        return _cloud(found)

    @contextmanager
    def fresh(self, needed: ResolvedStack, settings: Settings, *, keep: bool) -> Iterator[Cloud]:
        """A cloud of its own, removed at the end unless it is to ``keep``."""
        name = f"pytest-{self.id}-{secrets.token_hex(3)}"
        with self._locked("start", fcntl.LOCK_EX):
            found = self._start(needed, settings, name)
        if "error" in found:
            raise StartError(str(found["error"]), hint=str(found["hint"]))
        try:
            yield _cloud(found)
        finally:
            if not keep:
                start.remove(name)
                self._begun(name).unlink()

    @contextmanager
    def use(
        self, needed: ResolvedStack, *, alone: bool, mend: Callable[[], None]
    ) -> Iterator[None]:
        """The right to be in the cloud for ``needed``, with others or ``alone``.

        ``mend`` is called first if a user that was alone crashed, or could not undo its faults.
        """
        key = key_of(needed)
        broken = self.directory / f"{key}.broken"
        with ExitStack() as using:
            # Who waits to be alone holds the gate, so that newcomers wait behind.
            with self._locked(f"{key}.gate", fcntl.LOCK_EX):
                if broken.exists():
                    with self._locked(f"{key}.use", fcntl.LOCK_EX):
                        if broken.exists():  # the last exclusive user did not end as it should
                            mend()
                            broken.unlink()
                kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
                using.enter_context(self._locked(f"{key}.use", kind))
            if alone:
                broken.touch()
            yield
            if alone:
                broken.unlink()

    @property
    def names(self) -> tuple[str, ...]:
        """The clouds that were begun and not yet removed."""
        return tuple(sorted(path.stem for path in self.directory.glob("*.begun")))

    def remove(self, *, keep: bool) -> None:
        """End the run, once no other process of it lives; raises ``BuilderError``."""
        try:
            for name in self.names if not keep else ():
                up = any(name in path.read_text() for path in self.directory.glob("*.json"))
                start.remove(name, settle=0.0 if up else _SETTLE)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self, needed: ResolvedStack, settings: Settings, name: str) -> dict[str, object]:
        _remove_dead_runs()
        begun = self._begun(name)
        if begun.exists():
            start.remove(name, settle=_SETTLE)
        begun.touch()
        nodes = f", {len(needed.nodes)} compute nodes" if needed.nodes else ""
        services = ", ".join(name for name in needed.targets if name != needed.compute)
        self.notify(f"starting {needed.release}: {services}{nodes}")
        try:
            cloud = settings.up(needed, name)
        except BuilderError as error:
            return {"error": error.message, "hint": error.hint}
        return {**asdict(cloud), "clouds_yaml": str(cloud.clouds_yaml)}

    def _begun(self, name: str) -> Path:
        return self.directory / f"{name}.begun"

    @contextmanager
    def _locked(self, name: str, operation: int) -> Iterator[None]:
        with (self.directory / f"{name}.lock").open("w") as file:
            fcntl.flock(file, operation)
            yield


def key_of(needed: ResolvedStack) -> str:
    """The key of a cloud: equal for stacks that can share one."""
    stack = needed.stack
    kind = [stack.like or "", *(["tls"] if stack.tls else []), *sorted(stack.patches)]
    what = [needed.release, *needed.targets, *map(str, needed.nodes.items()), *filter(None, kind)]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:6]


def _cloud(found: dict[str, object]) -> Cloud:
    return Cloud(**{**found, "clouds_yaml": Path(str(found["clouds_yaml"]))})  # type: ignore[arg-type]


def _write(path: Path, content: dict[str, object]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _remove_dead_runs() -> None:
    """Clouds of runs that were killed: nobody else will remove them."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if directory.stat().st_uid != os.getuid():
                continue
            with (directory / "owner.lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Run(directory).remove(keep=False)
