"""The definition of a service as its images have it: what image.yaml says, as JSON. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from builder.catalogue.service import Role

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue, Recipe, Target
    from builder.catalogue.service import Service

# In the context of the recipe.
FILE = "service.json"


def definition(catalogue: Catalogue, recipe: Recipe) -> bytes | None:
    """The service of ``recipe``, and the roles of its images; None where it has neither."""
    roles = {
        name: _role(catalogue, recipe, target)
        for name, target in recipe.targets.items()
        if target.role or recipe.service
    }
    if not roles:
        return None
    found: dict[str, Any] = {"name": recipe.name, "roles": roles}
    if recipe.service:
        service = recipe.service.model_dump(mode="json", exclude={"core"})
        found["service"] = service | {
            "prefix": prefix(recipe.service),
            "host": recipe.service.host or recipe.name,
            "command": recipe.service.command or recipe.name,
        }
    return (json.dumps(found, indent=2) + "\n").encode()


def prefix(service: Service) -> str:
    """The path below which the one port of a cloud serves it."""
    return service.prefix or f"/{service.type}"


def core(catalogue: Catalogue) -> tuple[str, ...]:
    """The services of every cloud: each after those that it needs."""
    return tuple(name for name, service in catalogue.services.items() if service.core)


def _role(catalogue: Catalogue, recipe: Recipe, target: Target) -> dict[str, Any]:
    role = target.role or Role()
    main = role.main or recipe.name
    embeds, programs = role.embeds, role.programs
    if role.core:
        services = catalogue.services
        embeds = tuple(name for name in core(catalogue) if name != main)
        programs = tuple(p for name in (*embeds, main) for p in services[name].programs)
    return {
        "main": main,
        "api": role.api,
        "programs": programs,
        "embeds": embeds,
        "backing": role.backing,
    }
