"""Tempest's configuration for a cloud. Pure."""

from __future__ import annotations

from configparser import RawConfigParser
from io import StringIO
from typing import TYPE_CHECKING

from builder.suite.facts import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.suite.facts import Facts
    from builder.suite.model import Definition

Sections = dict[str, dict[str, object]]
_DOMAIN = "Default"
# Where the configuration calls a service otherwise than its type
_SECTIONS = {"block-storage": "volume"}
_WITH_ENDPOINTS = ("compute", "image", "network", "placement")


def configuration(
    facts: Facts, definition: Definition, read: Mapping[tuple[str, str], str], workspace: Path
) -> str:
    """The text of tempest.conf.

    What the definition says comes last; ``read`` are options of services, by section and option.
    """
    sections: Sections = {
        **_identity(facts),
        "oslo_concurrency": {"lock_path": workspace / "lock"},
        "service_available": {
            name: kind in facts.endpoints for kind, name in definition.services.items()
        },
    }
    for kind in _WITH_ENDPOINTS:
        sections[kind] = {"endpoint_type": PUBLIC, "region": facts.login.region}
    for part in (_compute(facts), _network(facts), _image(facts), _volume(facts)):
        _merge(sections, part)
    for (section, option), value in read.items():
        _merge(sections, {section: {option: value}})
    _merge(sections, {name: dict(options) for name, options in definition.options.items()})
    return _text(sections)


def _identity(facts: Facts) -> Sections:
    login = facts.login
    return {
        "auth": {
            "use_dynamic_credentials": True,
            "admin_username": login.user,
            "admin_password": login.password,
            "admin_project_name": login.project,
            "admin_domain_name": _DOMAIN,
            "create_isolated_networks": bool(_routers(facts)),
            "tempest_roles": "member",
        },
        "identity": {
            "uri_v3": login.url,
            "auth_version": "v3",
            "region": login.region,
            "v3_endpoint_type": PUBLIC,
        },
    }


def _routers(facts: Facts) -> bool:
    """Whether a network of a project can reach one outside."""
    return "router" in facts.extensions and bool(facts.external_networks)


def _compute(facts: Facts) -> Sections:
    found: Sections = {"compute": {"min_compute_nodes": max(facts.computes, 1)}, "placement": {}}
    for kind, version in facts.microversions.items():
        found.setdefault(_SECTIONS.get(kind, kind), {})["max_microversion"] = version
    if facts.flavors and facts.images:
        found["compute"] |= {
            "flavor_ref": facts.flavors[0],
            "flavor_ref_alt": facts.flavors[1 if len(facts.flavors) > 1 else 0],
            "image_ref": facts.images[0],
            "image_ref_alt": facts.images[-1],
        }
    if facts.shared_networks:
        found["compute"]["fixed_network_name"] = facts.shared_networks[0]
    several = facts.computes > 1
    found["compute-feature-enabled"] = {
        "cold_migration": several, "live_migration": several, "resize": True,
    }  # fmt: skip
    return found


def _network(facts: Facts) -> Sections:
    found: Sections = {
        "network-feature-enabled": {
            "api_extensions": ",".join(facts.extensions) or "none",
            "port_security": "port-security" in facts.extensions,
            "floating_ips": _routers(facts),
        }
    }
    if facts.external_networks:
        name, identifier = next(iter(facts.external_networks.items()))
        found["network"] = {"public_network_id": identifier, "floating_network_name": name}
    return found


def _image(facts: Facts) -> Sections:
    return {"image-feature-enabled": {"import_image": bool(facts.import_methods)}}


def _volume(facts: Facts) -> Sections:
    found: Sections = {
        "compute-feature-enabled": {"volume_multiattach": bool(facts.multiattach_types)}
    }
    if facts.multiattach_types:
        found["volume"] = {"volume_type_multiattach": facts.multiattach_types[0]}
    return found


def _merge(sections: Sections, more: Mapping[str, Mapping[str, object]]) -> None:
    for name, options in more.items():
        sections.setdefault(name, {}).update(options)


def _text(sections: Sections) -> str:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    for name, options in sections.items():
        if name != "DEFAULT":
            parser.add_section(name)
        for key, value in options.items():
            parser.set(name, key, str(value))
    text = StringIO()
    parser.write(text)
    return text.getvalue()
