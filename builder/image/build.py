"""Builds the targets of a bake file, keeps a log of each, and reports what failed and where."""

from __future__ import annotations

import json
import logging
import os
import re
import ssl
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from textwrap import shorten
from typing import TYPE_CHECKING

from builder.engine import Engine, EngineError, LocalImage
from builder.errors import BuildError
from builder.image import proxies
from builder.image.build_log import (
    CACHED,
    DONE,
    ERROR,
    INSTRUCTIONS,
    LINE,
    STEP,
    Recipes,
    read_recipes,
    without_mounts,
)
from builder.progress import SHOWN, Task, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from builder.image.plan import Plan

log = logging.getLogger(__name__)

# The engine took too long to export an image: seen on a machine with fifteen times its load.
_OVERLOADED = "context deadline exceeded"
_TRANSIENT = re.compile(
    r"temporary failure (in name )?resol|connection (reset|refused|timed out)|i/o timeout"
    r"|tls handshake timeout|unexpected eof|failed to fetch .* (5\d\d|connection)|read timed out"
    r"|max retries exceeded|\b429\s+too many|\b50[234]\s+(server error|bad gateway|service|gateway)"
    r"|http(/[\d.]+)?\s+(error|status)?\s*(429|50[234])\b"
    # buildx's connection for contexts broke: seen on a machine with twenty times its load.
    r"|only one connection allowed"
    rf"|{_OVERLOADED}",
    re.IGNORECASE,
)
_RETRIES = 2
_TAIL = 20


@dataclass(frozen=True)
class BuiltSet:
    """The images of one release as they are in the engine's store."""

    release: str
    images: tuple[tuple[str, LocalImage], ...]


@dataclass(frozen=True)
class Caches:
    """Where BuildKit's cache is read from and written to, in buildx's own words.

    ``{target}`` in them is each target's name: targets that wrote to one place would overwrite it.
    """

    read: str | None = None
    write: str | None = None

    def settings(self, targets: Iterable[str]) -> dict[str, str]:
        """The same as overrides of a bake file's keys."""
        given = {"cache-from": self.read, "cache-to": self.write}
        return {
            f"{target}.{key}": value.replace("{target}", target)
            for key, value in given.items()
            if value
            for target in targets
        }


NO_CACHES = Caches()


@dataclass
class _Progress:
    """BuildKit's plain progress, sorted by target: vertex numbers to names to lines.

    ``rest`` are the lines without a number: BuildKit's own summary of a failure. ``running`` are
    the instructions that are being built, each with its recipe; ``begun`` and ``ended`` count them.
    """

    release: str
    directory: Path
    steps: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rest: list[str] = field(default_factory=list)
    failed: str | None = None
    recipes: Recipes = field(default_factory=lambda: Recipes({}))
    running: dict[str, tuple[str, str]] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)

    def read(self, lines: Iterable[str]) -> None:
        with self.whole.open("a", encoding="utf-8", buffering=1) as whole:
            for line in lines:
                text = line.rstrip("\n")
                whole.write(f"{text}\n")
                if match := LINE.match(text):
                    self._vertex(match["vertex"], match["text"])
                elif text:
                    self.rest.append(text)

    @property
    def whole(self) -> Path:
        return self.directory / "build.log"

    def _vertex(self, vertex: str, text: str) -> None:
        if vertex not in self.steps:
            step = STEP.match(text)
            self.steps[vertex] = text
            self.targets[vertex] = step["target"] if step else ""
            if step and step["instruction"].startswith(INSTRUCTIONS):
                short = shorten(text, 100, placeholder=" …")
                log.info("build: %s %s", self.release, short, extra=SHOWN)
                self._begin(vertex, step["target"], step["instruction"])
        if text.startswith(ERROR):
            self.failed = self.failed or vertex
        if text == CACHED or DONE.match(text):
            self._end(vertex)
        self.lines[vertex].append(text)
        if self.targets[vertex]:
            with self.log_of(vertex).open("a", encoding="utf-8") as stream:
                stream.write(f"#{vertex} {text}\n")

    def _begin(self, vertex: str, target: str, instruction: str) -> None:
        """Tell of an instruction that is built now."""
        name = self.recipes.of(target, instruction)
        self.running[vertex] = name, without_mounts(instruction)
        self.begun[name] += 1
        self._tell(name)

    def _end(self, vertex: str) -> None:
        if vertex in self.running:
            name, _ = self.running.pop(vertex)
            self.ended[name] += 1
            self._tell(name)

    def _tell(self, name: str) -> None:
        done, total = self.ended[name], max(self.recipes.number(name), self.begun[name])
        doing = [instruction for each, instruction in self.running.values() if each == name]
        ended = 0 < self.recipes.number(name) <= done
        tell(Task(self.release, name, "; ".join(doing), done, total, ended=ended))

    def log_of(self, vertex: str) -> Path:
        name = self.targets[vertex].replace("/", "-")
        return self.directory / f"{name}.log" if name else self.whole


def build(
    engine: Engine,
    plan: Plan,
    directory: Path,
    logs: Path,
    *,
    rootfs: Path | None,
    caches: Caches = NO_CACHES,
    builder: str | None = None,
) -> BuiltSet:
    """Build every image of ``plan`` from the rendered ``directory``, logs below ``logs``.

    A build that the network broke is tried again, from what it had finished. Raises ``BuildError``
    with the failing target and step, the end of its log and the log's path.
    """
    logs.mkdir(parents=True, exist_ok=True)
    file, metadata = directory / "bake.json", logs / "bake-metadata.json"
    variables = {
        "DIR": str(directory),
        "ROOTFS_DIR": str(rootfs or directory),
        "CA_BUNDLE": ca_bundle(),
    }
    targets = [image.target for image in plan.images]
    settings = caches.settings(json.loads(file.read_text(encoding="utf-8"))["target"])
    settings |= proxies.settings(os.environ)

    def bake(progress: _Progress, some: Sequence[str]) -> dict[str, str]:
        progress.read(
            engine.bake(
                file, some, variables=variables, metadata=metadata, settings=settings,
                builder=builder,
            )
        )  # fmt: skip
        found = json.loads(metadata.read_text(encoding="utf-8"))
        return {target: found[target]["containerimage.digest"] for target in some}

    digests = _retried(bake, targets, plan, directory, logs)
    return _built(engine, plan, digests)


def _retried(
    bake: Callable[[_Progress, Sequence[str]], dict[str, str]],
    targets: Sequence[str],
    plan: Plan,
    directory: Path,
    logs: Path,
) -> dict[str, str]:
    """The digest of each target; an engine without time for all at once gets one after another."""
    pending, digests, attempt = [tuple(targets)], dict[str, str](), 0
    recipes = read_recipes(directory)
    while pending:
        progress = _Progress(plan.release, logs, recipes=recipes)
        try:
            digests |= bake(progress, pending[0])
        except EngineError as error:
            tail = _tail(progress)
            if attempt == _RETRIES or not _TRANSIENT.search(tail):
                raise _failure(plan, progress, error, directory) from error
            attempt += 1
            log.warning(
                "build: %s failed for a passing reason, trying again (%d): %s",
                plan.release,
                attempt,
                tail,
            )
            if _OVERLOADED in tail.lower():
                pending = [(target,) for some in pending for target in some]
        else:
            del pending[0]
            attempt = 0
    return digests


def ca_bundle() -> str:
    """The CA certificates that this machine trusts, for the stages that reach the network."""
    paths = ssl.get_default_verify_paths()
    return str(paths.cafile or "/etc/ssl/certs/ca-certificates.crt")


def _built(engine: Engine, plan: Plan, digests: Mapping[str, str]) -> BuiltSet:
    images = []
    for image in plan.images:
        local = engine.image(image.reference)
        digest = digests[image.target]
        images.append((image.target, LocalImage(local.reference, digest, local.size)))
    return BuiltSet(plan.release, tuple(images))


def _tail(progress: _Progress) -> str:
    lines = progress.lines[progress.failed] if progress.failed else progress.rest
    return "\n".join(lines[-_TAIL:])


def _failure(plan: Plan, progress: _Progress, error: EngineError, directory: Path) -> BuildError:
    if progress.failed is None:
        return BuildError(
            f"{plan.release}: the build failed\n{_tail(progress) or error}",
            hint=f"the whole log is {progress.whole}",
        )
    target = _owner(progress, progress.failed, directory)
    return BuildError(
        f"{plan.release}: target {target} failed at: {progress.steps[progress.failed]}\n"
        f"{_tail(progress)}",
        hint=f"the whole log is {progress.log_of(progress.failed)}",
    )


def _owner(progress: _Progress, vertex: str, directory: Path) -> str:
    """The target with the step in its Dockerfile: BuildKit names the first that waits for it."""
    named = progress.targets[vertex]
    step = STEP.match(progress.steps[vertex])
    return read_recipes(directory).of(named, step["instruction"] if step else "")
