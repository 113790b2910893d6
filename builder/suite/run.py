"""Runs a suite against a cloud: one that is made for it, or one that is there."""

from __future__ import annotations

import configparser
import logging
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from builder import process
from builder.catalogue.config import load_catalogue, select_releases
from builder.cloud import clouds
from builder.cloud.up import start_cloud
from builder.errors import SuiteError, UsageError
from builder.image.rootfs import cache_directory
from builder.interrupts import without_interrupts
from builder.suite import read_subunit, result
from builder.suite.environment import environment
from builder.suite.facts import gather
from builder.suite.model import load
from builder.suite.result import Result
from builder.suite.tempest import configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.cloud.configuration import Samples
    from builder.options import Options
    from builder.suite.facts import Facts
    from builder.suite.model import Definition, Suite

log = logging.getLogger(__name__)
_COMPUTES = 2


@dataclass(frozen=True)
class Settings:
    """How a suite is run: ``tests`` are regular expressions, ``cloud`` is one that is there.

    ``output`` is a directory that is made for what comes of it. A cloud that is made is of the
    ``published`` images, where there are some.
    """

    output: Path
    tests: tuple[str, ...] = ()
    subset: bool = False
    concurrency: int = 2
    cloud: str | None = None
    keep: bool = False
    published: bool = True


def run(options: Options, name: str, settings: Settings) -> Result:
    """Run the suite ``name`` against the release that ``options`` select.

    Raises ``UsageError`` or ``ConfigError`` before anything starts, ``MachineError`` where the
    suite cannot be installed, ``StartError`` when no cloud comes up, ``SuiteError`` when the suite
    ends without a result.
    """
    selection = options.selection
    suite = load(selection.root, name)
    catalogue = load_catalogue(selection.root, selection.folders)
    (release,) = select_releases(catalogue, selection.releases)
    wanted = _wanted(suite.definition, settings)
    if settings.cloud:
        clouds.clouds_yaml(settings.cloud)
    home = environment(suite, cache=cache_directory())
    settings.output.mkdir(parents=True)
    with _cloud(options, settings, suite.definition.samples) as cloud:
        facts = gather(clouds.clouds_yaml(cloud), cloud)
        tempest = _Tempest(home, settings.output.resolve())
        tempest.prepare(facts, suite.definition, _read(cloud, facts, suite.definition))
        names = tempest.names(wanted)
        left_out = suite.definition.excluded_of(release, facts.roles)
        excluded = result.names_of(left_out, names)
        log.info("%s: %d tests, %d of them excluded", suite.name, len(names), len(excluded))
        begin = time.monotonic()
        tests = tempest.run([each for each in names if each not in excluded], settings.concurrency)
        seconds = time.monotonic() - begin
    found = Result(name, _version(suite), release, round(seconds, 1), result.parse(tests, excluded))
    (settings.output / "junit.xml").write_text(result.to_junit(found), encoding="utf-8")
    (settings.output / "result.json").write_text(result.to_json(found), encoding="utf-8")
    return found


def _wanted(definition: Definition, settings: Settings) -> str:
    """One regular expression of the tests that are asked for."""
    if settings.tests and settings.subset:
        raise UsageError("both --test and --subset", hint="leave one of the two out")
    for each in settings.tests:
        try:
            re.compile(each)
        except re.error as error:
            raise UsageError(f"--test {each}: not a regular expression: {error}") from error
    chosen = settings.tests or (definition.subset if settings.subset else definition.tests)
    return "|".join(f"(?:{each})" for each in chosen)


def _version(suite: Suite) -> str:
    """The pinned version of what the suite is named after."""
    pins = suite.requirements.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(suite.name)}==(\S+)", pins, re.MULTILINE)
    return found[1] if found else ""


@contextmanager
def _cloud(options: Options, settings: Settings, samples: Samples) -> Iterator[str]:
    """The name of a cloud that is up; one that is made for it is removed."""
    if settings.cloud:
        yield settings.cloud
        return
    name = f"suite-{secrets.token_hex(3)}"
    start_cloud(
        options, name=name, computes=_COMPUTES, published=settings.published, samples=samples,
        progress=lambda each: log.info("%s: %s", each.name, each.health),
    )  # fmt: skip
    try:
        yield name
    finally:
        if settings.keep:
            log.info("kept %s: builder down %s", name, name)
        else:
            with without_interrupts():
                clouds.remove(name)


def _read(cloud: str, facts: Facts, definition: Definition) -> dict[tuple[str, str], str]:
    """Options of services that the suite wants to know, out of their configuration files."""
    found = {}
    for each in definition.read:
        if port := urlsplit(facts.endpoints.get(each.service, "")).port:
            text = clouds.read_file(cloud, port, each.file)
            parser = configparser.RawConfigParser(strict=False)
            parser.read_string(text)
            if parser.has_option(each.group, each.name):
                found[each.section, each.option] = parser.get(each.group, each.name)
    return found


class _Tempest:
    """Tempest in an environment ``home``, with a workspace of its own in ``output``."""

    def __init__(self, home: Path, output: Path) -> None:
        self._home, self._output = home, output
        self._workspace = output / "workspace"

    def prepare(
        self, facts: Facts, definition: Definition, read: Mapping[tuple[str, str], str]
    ) -> None:
        """Make the workspace, and its configuration."""
        register = self._output / "workspaces.yaml"
        self._tempest("init", "--workspace-path", register, self._workspace, directory=self._output)
        file = self._workspace / "etc" / "tempest.conf"
        file.write_text(configuration(facts, definition, read, self._workspace), encoding="utf-8")
        # It has the administrator's password.
        file.chmod(0o600)

    def names(self, wanted: str) -> list[str]:
        """The tests that ``wanted`` matches; raises ``UsageError`` for none."""
        said = self._tempest("run", "--list-tests", "--regex", wanted)
        found = [line.strip() for line in said.splitlines() if line.startswith("tempest.")]
        names = [each.partition("[")[0] for each in found]
        if not names:
            raise UsageError(f"no test matches {wanted}")
        return names

    def run(self, names: Sequence[str], concurrency: int) -> str:
        """Run these tests; what the reader says of them."""
        listed = self._workspace / "tests.txt"
        patterns = [f"^{re.escape(each)}($|\\[)" for each in names]
        listed.write_text("\n".join(patterns) + "\n", encoding="utf-8")
        said = self._tempest(
            "run", "--include-list", listed, "--concurrency", str(concurrency), may_fail=True
        )
        (self._output / "output.log").write_text(said, encoding="utf-8")
        if not (self._workspace / ".stestr" / "0").is_file():
            raise SuiteError(
                "the suite ended without a result",
                hint=f"what it said is in {self._output / 'output.log'}",
            )
        return self._run("python", read_subunit.__file__, self._workspace)

    def _tempest(
        self, *words: str | Path, directory: Path | None = None, may_fail: bool = False
    ) -> str:
        return self._run("tempest", *words, directory=directory, may_fail=may_fail)

    def _run(
        self,
        program: str,
        *words: str | Path,
        directory: Path | None = None,
        may_fail: bool = False,
    ) -> str:
        programs = self._home / "bin"
        env = {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]]), "PYTHONPATH": ""}
        done = process.run(
            [programs / program, *words], directory=directory or self._workspace, env=env,
            workers=True, needed_for="suites",
            hint="remove the suites in the cache, and run it again",
        )  # fmt: skip
        if done.returncode != 0 and not may_fail:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
            raise SuiteError(f"{program} {words[0]} failed:\n{tail}")
        return done.stdout + (done.stderr if may_fail else "")
