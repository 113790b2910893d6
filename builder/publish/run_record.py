"""The record of a set that passed, as a run keeps it and `builder publish` reads it later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from builder.cloud.compose import compose_file, to_yaml
from builder.errors import ConfigError, PublishError, UsageError
from builder.manifest import NOT_SCANNED, ImageRecord, SetRecord
from builder.publish.tags import semantic, upstream
from builder.version import version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.catalogue.model import Catalogue
    from builder.image.build import BuiltSet
    from builder.image.input_hash import Inputs
    from builder.image.plan import Image, Plan
    from builder.manifest import SuiteRecord

FILE = "tested-set.json"
MANIFEST = "release-manifest.json"
REPORT = "report.json"


def make_record(
    catalogue: Catalogue,
    plan: Plan,
    built: BuiltSet,
    *,
    inputs: Mapping[str, Inputs],
    packages: Mapping[str, str],
    debian: Mapping[str, Mapping[str, str]],
    checks_passed: int,
    suites: Sequence[SuiteRecord] = (),
    scan: str = NOT_SCANNED,
) -> SetRecord:
    """The record of the images that passed; ``debian`` are each target's packages.

    Raises ``PublishError`` for an image without a version.
    """
    local = dict(built.images)
    images = tuple(
        ImageRecord(
            target=image.target,
            reference=image.reference,
            digest=local[image.target].digest,
            size=local[image.target].size,
            version=_version(catalogue, plan, image, debian[image.target]),
            input_hash=inputs[image.target].digest,
            inputs=dict(inputs[image.target].values),
            debian=dict(debian[image.target]),
        )
        for image in plan.images
    )
    pinned = {image.target: f"{image.repository}@{image.digest}" for image in images}
    return SetRecord(
        release=plan.release,
        builder=version(),
        checks_passed=checks_passed,
        suites=tuple(suites),
        scan=scan,
        packages=dict(packages),
        images=images,
        compose=to_yaml(
            plan.release, compose_file(catalogue, plan, port_base=0, references=pinned)
        ),
    )


def find_runs(path: Path, releases: Sequence[str]) -> dict[str, Path]:
    """Release to the directory of its newest tested set below ``path``.

    ``path`` is the directory of runs, of one run, or of one release of it. Raises ``UsageError``
    when there is none, or none of ``releases``, unless that is empty.
    """
    found: dict[str, Path] = {}
    for file in sorted(path.rglob(FILE), key=lambda each: each.parent.parent.name):
        found[file.parent.name] = file.parent
    chosen = {name: found[name] for name in found if not releases or name in releases}
    if missing := [name for name in releases if name not in chosen]:
        raise UsageError(
            f"no run below {path} has tested {', '.join(missing)}", hint="run builder build first"
        )
    if not chosen:
        raise UsageError(f"no run below {path} has tested a set", hint="run builder build first")
    return chosen


def read_tested(directory: Path) -> SetRecord:
    """The set that a run tested; raises ``PublishError`` unless its report says the same."""
    try:
        tested = SetRecord.model_validate_json((directory / FILE).read_bytes())
        report = json.loads((directory.parent / REPORT).read_bytes())
        found = next(each for each in report["releases"] if each["release"] == tested.release)
        digests = {image["target"]: image["digest"] for image in found["images"]}
        passed = bool(found["checks_passed"])
    except FileNotFoundError as error:
        raise PublishError(f"{error.filename} is missing", hint="build the release again") from None
    except (ValidationError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise PublishError(
            f"{directory} is not the directory of a tested set: {error}", hint="build it again"
        ) from error
    if not passed or digests != tested.digests:
        raise PublishError(
            f"{directory.parent / REPORT} does not say that the images of {tested.release} passed",
            hint="build the release again: no untested set is published",
        )
    return tested


def check_versions(catalogue: Catalogue, plan: Plan) -> None:
    """Raise ``ConfigError`` for an image of ``plan`` that would have no version."""
    services = catalogue.releases[plan.release].services
    for recipe in (catalogue.recipes[image.recipe] for image in plan.images):
        known = recipe.version or recipe.version_of
        if not known and not (recipe.packages and recipe.packages[0] in services):
            raise ConfigError(
                recipe.directory / "image.yaml",
                f"the images of {recipe.name} have no version in {plan.release}",
                hint="name a service of the release first in packages, "
                "a Debian package that it installs in version_of, or a version",
            )


def _version(catalogue: Catalogue, plan: Plan, image: Image, debian: Mapping[str, str]) -> str:
    """The semantic version of what the image serves, as text."""
    recipe = catalogue.recipes[image.recipe]
    services = catalogue.releases[plan.release].services
    try:
        if recipe.version:
            return str(semantic(recipe.version))
        if recipe.version_of:
            return str(semantic(upstream(debian[recipe.version_of])))
        return str(semantic(services[recipe.packages[0]]))
    except (LookupError, ValueError) as error:
        raise PublishError(
            f"{image.target} has no version: {error}",
            hint=f"is version_of of {recipe.directory / 'image.yaml'} installed in it?",
        ) from error


def write(path: Path, record: SetRecord) -> None:
    """Write a record as JSON; the file is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(path)
