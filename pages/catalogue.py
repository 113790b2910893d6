"""Pages of what the catalogue knows: services by release, images, patches, suites."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from pages.text import code, definition, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from builder.catalogue.model import Catalogue, Recipe, Target
    from builder.catalogue.service import Service
    from builder.suite.model import Suite

# As the contract makes the names of its variables.
_URLS = ("PUBLIC", "INTERNAL", "ADMIN")


def services(catalogue: Catalogue) -> str:
    """The version of each service in each release."""
    names = list(dict.fromkeys(n for each in catalogue.releases.values() for n in each.services))
    rows = (
        [f"**{name}**", *(release.services.get(service, "—") for service in names)]
        for name, release in reversed(catalogue.releases.items())
    )
    others = (
        [f"**{name}**", f"{release.suite.value} ({release.suite.number})", release.suite.python,
         release.status.value, release.since.isoformat(), release.version_id]
        for name, release in reversed(catalogue.releases.items())
    )  # fmt: skip
    return (
        "# Services by release\n\nThe versions that `versions.yaml` has, each locked with every "
        "package that it needs.\n\n"
        f"{table(('release', *names), rows)}\n## What they stand on\n\n"
        f"{table(('release', 'Debian', 'Python', 'upstream', 'since', 'version'), others)}"
        f"\n## Packages against the upper constraints\n\n{overrides(catalogue)}"
    )


def overrides(catalogue: Catalogue) -> str:
    rows = (
        [f"**{name}**", code(package), code(each.version), plain(each.reason)]
        for name, release in reversed(catalogue.releases.items())
        for package, each in release.overrides.items()
    )
    return table(("release", "package", "version", "why"), rows)


def images(catalogue: Catalogue) -> str:
    """What each image is, and the variables that follow from its `service:` block."""
    head = (
        "# Each image\n\nOf each image: where it listens, what it writes to and needs, and the "
        "variables that are made of the names of its services. "
        "[What every variable means](environment.md).\n"
    )
    parts = [head]
    for recipe in catalogue.recipes.values():
        parts += [
            image(catalogue, recipe, name, catalogue.targets[name]) for name in recipe.targets
        ]
    return "\n".join(parts)


def image(catalogue: Catalogue, recipe: Recipe, name: str, target: Target) -> str:
    facts = {
        "Ports": ", ".join(map(str, target.ports)),
        "Needs": ", ".join(code(each) for each in target.depends_on),
        "Further host names": ", ".join(code(each) for each in target.aliases),
        "Writes to": ", ".join(code(each) for each in target.volumes),
        "In a set it is given": "<br>".join(
            code(f"{key}={value}") for key, value in target.environment.items()
        ),
        **dict(served(catalogue, recipe, target)),
    }
    lines = "".join(definition(key, value) for key, value in facts.items() if value)
    return f"## openstack-{name}\n\n{plain(target.summary)}\n\n{lines}"


def served(catalogue: Catalogue, recipe: Recipe, target: Target) -> Iterator[tuple[str, str]]:
    found = {
        each.name: each.service
        for each in catalogue.recipes.values()
        if each.service and runs(target, recipe, each)
    }
    api = target.role is None or target.role.api
    for name, service in found.items():
        if api:
            yield f"Catalog: {name}", endpoint(name, service)
        yield f"Variables of {name}", ", ".join(variables(name, service, api=api))


def runs(target: Target, recipe: Recipe, other: Recipe) -> bool:
    """Whether a container of ``target`` serves what ``other`` is the folder of."""
    if other.service is None:
        return False
    if target.role is None:
        return recipe.name == other.name
    core = target.role.core and other.service.core
    return core or other.name in (target.role.main or recipe.name, *target.role.embeds)


def endpoint(name: str, service: Service) -> str:
    prefix = service.prefix or f"/{service.type}"
    types = ", ".join(code(each) for each in (service.type, *service.aliases))
    host = service.host or name
    return (
        f"{types} at {code(f'http://{host}:{service.port}{service.path}')}, "
        f"below {code(prefix)} at the one port of a cloud"
    )


def variables(name: str, service: Service, *, api: bool) -> Iterator[str]:
    upper = name.upper().replace("-", "_")
    if service.databases:
        yield code(f"{upper}_DBPASS")
    if service.type != "identity":  # which is no user of itself
        yield code(f"{upper}_PASS")
    if api:
        yield from (code(f"{upper}_{each}_URL") for each in _URLS)


def patches(root: Path) -> str:
    """Every patch with its reason, as its module gives it."""
    head = (
        "# Patches and their reasons\n\n`PATCHES` leaves out [each of them](not-upstream.md). That "
        "page also compares what the images and upstream do.\n"
    )
    parts = [head]
    for path in sorted((root / "images").glob("*/*/patches/*.py")):
        found = constants(path)
        if "REPLACES" not in found:
            continue
        replaces = ast.literal_eval(found["REPLACES"])
        parts.append(
            f"## {path.stem}\n\n{plain(ast.literal_eval(found['REASON']))}\n\n"
            + definition("Of", code(path.parts[-4] if path.parts[-4] != "openstack" else "all"))
            + definition("Replaces", "<br>".join(code(each) for each in replaces))
            + definition("Releases", releases(found["RELEASES"]))
        )
    return "\n".join(parts)


def constants(path: Path) -> Mapping[str, ast.expr]:
    """What a module assigns: it cannot be imported, for its package is only in images."""
    return {
        node.targets[0].id: node.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def releases(value: ast.expr) -> str:
    if not isinstance(value, ast.Call):
        return "all"
    given = {each.arg: ast.literal_eval(each.value) for each in value.keywords}
    given |= dict(zip(("first", "last", "reason"), map(ast.literal_eval, value.args), strict=False))
    ends = [
        f"{word} {given[key]}" for key, word in (("first", "from"), ("last", "to")) if key in given
    ]
    return f"{' '.join(ends)}: {plain(given.get('reason', ''))}"


def suites(catalogue: Catalogue, found: Iterator[Suite]) -> str:
    """Which tests of each suite are left out for which release, and why."""
    head = (
        "# Suites by release\n\n`builder suite NAME --release RELEASE` runs one; "
        "[what it runs, and what came out](suites.md).\n"
    )
    parts = [head]
    for suite in found:
        excluded = suite.definition.excluded
        areas = ", ".join(code(each) for each in suite.definition.tests)
        rows = (
            [f"**{release}**", str(sum(not e.releases or release in e.releases for e in excluded))]
            for release in reversed(catalogue.releases)
        )
        left_out = (
            [code(each.test), when(each.releases, each.without_role), plain(each.reason)]
            for each in excluded
        )
        parts.append(
            f"## {suite.name}\n\nRun by default: {areas}\n\n"
            f"{table(('release', 'rules that leave tests out'), rows)}\n"
            f"### What {suite.name} is not asked\n\n{table(('tests', 'where', 'why'), left_out)}"
        )
    return "\n".join(parts)


def when(releases: tuple[str, ...], without_role: str | None) -> str:
    words = [", ".join(releases) or "every release"]
    if without_role:
        words.append(f"without the role {code(without_role)}")
    return " ".join(words)
