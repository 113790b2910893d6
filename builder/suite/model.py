"""What a suite is: its packages, its options, and the tests that are left out, with reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from builder.catalogue.document import read
from builder.catalogue.values import Frozen
from builder.cloud.configuration import Samples  # noqa: TC001  (pydantic reads it)
from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

DIRECTORY = "suites"
FILE = "suite.yaml"
REQUIREMENTS = "requirements.txt"


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got {text!r}: {error}") from None
    return text


def _line(text: str) -> str:
    if "\n" in text.strip() or len(text) < len("a reason"):
        raise ValueError("expected a reason in one line")
    return text.strip()


Regex = Annotated[str, AfterValidator(_regex)]


class Excluded(Frozen):
    """Tests that are not run, because of the cloud and not because of a fault in it."""

    test: Regex = Field(description="Matches the beginning or a part of the tests' names")
    reason: Annotated[str, AfterValidator(_line)]
    releases: tuple[str, ...] = Field(default=(), description="Only of these; without it of all")
    without_role: str | None = Field(
        default=None, description="Only where the cloud has no role of this name"
    )


class Reading(Frozen):
    """An option of the suite that is an option of a service, which no API tells."""

    section: str
    option: str
    service: str = Field(description="Service type: the container that serves it has the file")
    file: str
    group: str
    name: str


class Definition(Frozen):
    """The suite.yaml of a suite."""

    services: dict[str, str] = Field(description="Service type to the suite's name of the service")
    samples: Samples = Field(
        default="small", description="What there is in the cloud that is made for the suite"
    )
    options: dict[str, dict[str, str | bool | int]] = Field(
        description="Options that hold for every cloud, by section"
    )
    read: tuple[Reading, ...] = ()
    tests: tuple[Regex, ...] = Field(description="What is run unless the user says")
    subset: tuple[Regex, ...] = Field(description="What is run where there are only minutes")
    excluded: tuple[Excluded, ...] = ()

    def excluded_of(self, release: str, roles: Collection[str]) -> Mapping[str, str]:
        """Regular expressions of the tests that are left out, with their reasons.

        ``roles`` are those of the cloud.
        """
        return {
            each.test: each.reason
            for each in self.excluded
            if (not each.releases or release in each.releases)
            and (each.without_role is None or each.without_role not in roles)
        }


@dataclass(frozen=True)
class Suite:
    """A suite in its directory."""

    name: str
    requirements: Path
    definition: Definition


def load(root: Path, name: str) -> Suite:
    """The suite ``name`` of a project; raises ``UsageError`` or ``ConfigError``."""
    known = sorted(path.parent.name for path in (root / DIRECTORY).glob(f"*/{FILE}"))
    if name not in known:
        raise UsageError(f"unknown suite: {name}", hint=suggestion(name, known))
    directory = root / DIRECTORY / name
    definition = read(directory / FILE).validate(Definition)
    return Suite(name, directory / REQUIREMENTS, definition)
