"""What a user sets of a cloud beside its size: options of its services, and what it has in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from builder.catalogue.patches import ALL, Patches, names_of
from builder.catalogue.service import Role
from builder.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.catalogue.model import Catalogue

# Type of the service with the catalog of all others
IDENTITY = "identity"
Samples = Literal["small", "devstack"]
_OPTION = re.compile(r"([a-z0-9_-]+)\.(\w+)\.(\w+)=(.*)")
# Entries of clouds.yaml: name, user, password, project. Without a project it is the whole system.
Entry = tuple[str, str, str, str | None]
_SMALL: tuple[Entry, ...] = (
    ("", "admin", "ADMIN_PASS", "admin"),
    ("demo", "demo", "DEMO_PASS", "demo"),
    ("alt", "alt_demo", "ALT_DEMO_PASS", "alt_demo"),
    ("system-admin", "admin", "ADMIN_PASS", None),
)
# Those of DevStack's tools/update_clouds_yaml.py, by their own names in each cloud.
_DEVSTACK: tuple[Entry, ...] = (
    ("devstack", "demo", "DEMO_PASS", "demo"),
    ("devstack-admin", "admin", "ADMIN_PASS", "admin"),
    ("devstack-admin-demo", "admin", "ADMIN_PASS", "demo"),
    ("devstack-reader", "demo_reader", "DEMO_PASS", "demo"),
    ("devstack-alt", "alt_demo", "ALT_DEMO_PASS", "alt_demo"),
    ("devstack-alt-member", "alt_demo_member", "ALT_DEMO_PASS", "alt_demo"),
    ("devstack-alt-reader", "alt_demo_reader", "ALT_DEMO_PASS", "alt_demo"),
    ("devstack-system-admin", "admin", "ADMIN_PASS", None),
    ("devstack-system-member", "system_member", "ADMIN_PASS", None),
    ("devstack-system-reader", "system_reader", "ADMIN_PASS", None),
)


@dataclass(frozen=True)
class ServiceOption:
    """An option of one service's configuration."""

    service: str
    group: str
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.service}.{self.group}.{self.name}={self.value}"


@dataclass(frozen=True)
class Configuration:
    """Options of services, what a cloud has in it, https, and the patches of upstream's code."""

    options: tuple[ServiceOption, ...] = ()
    samples: Samples = "small"
    tls: bool = False
    patches: Patches = ALL

    def environment(self, catalogue: Catalogue, target: str) -> dict[str, str]:
        """What the containers of ``target`` get of it."""
        services = services_in(catalogue, target)
        options = [str(each) for each in self.options if each.service in services]
        patches = self.patches.value(names_of(catalogue, services)) if services else None
        return {
            **({"OPTIONS": "\n".join(options)} if options else {}),
            **({"SAMPLES": self.samples} if services and self.samples != "small" else {}),
            **({"TLS": "true"} if self.tls and is_gateway(catalogue, target) else {}),
            **({"PATCHES": patches} if patches else {}),
        }

    def entries(self, cloud: str) -> tuple[Entry, ...]:
        """The entries of a cloud's clouds.yaml."""
        own = tuple((f"{cloud}-{name}" if name else cloud, *rest) for name, *rest in _SMALL)
        return own + (_DEVSTACK if self.samples == "devstack" else ())  # type: ignore[return-value]


DEFAULTS = Configuration()


def parse_options(texts: Iterable[str], catalogue: Catalogue) -> tuple[ServiceOption, ...]:
    """Each is SERVICE.GROUP.OPTION=VALUE; raises ``UsageError``."""
    return tuple(_option(text, catalogue) for text in texts)


def _option(text: str, catalogue: Catalogue) -> ServiceOption:
    match = _OPTION.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--set {text}: not an option of a service",
            hint="SERVICE.GROUP.OPTION=VALUE in one line, named as in the service's own file",
        )
    option = ServiceOption(*match.groups())
    if option.service not in catalogue.services:
        raise UsageError(
            f"--set {text}: there is no service {option.service}",
            hint=suggestion(option.service, catalogue.services),
        )
    return option


def services_in(catalogue: Catalogue, target: str) -> frozenset[str]:
    """The services that run, wholly or in part, in a container of ``target``."""
    recipe = catalogue.recipe_of(target)
    given = catalogue.targets[target].role
    if given is None and recipe.service is None:
        return frozenset()
    role: Any = given or Role()
    core = [name for name, each in catalogue.services.items() if role.core and each.core]
    return frozenset({role.main or recipe.name, *role.embeds, *core})


def is_gateway(catalogue: Catalogue, target: str) -> bool:
    """Whether its container serves the identity API, and below paths all others."""
    types = {catalogue.services[name].type for name in services_in(catalogue, target)}
    return IDENTITY in types
