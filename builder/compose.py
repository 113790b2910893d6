"""The set as a compose file: from the same image.yaml that the images are built from. Pure."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.model import Catalogue, Target
    from builder.plan import Plan


COMPUTE = "nova-compute"
# So many computes have a container each; more share containers, so many in one.
_OWN_CONTAINER = 10
_IN_ONE_CONTAINER = 25


def compose_file(
    catalogue: Catalogue,
    plan: Plan,
    *,
    port_base: int | None,
    computes: int | None = None,
    driver: str | None = None,
    nodes: Mapping[str, str | None] | None = None,
    references: Mapping[str, str] | None = None,
    platform: str | None = None,
) -> dict[str, Any]:
    """The compose specification of the images of ``plan`` that are one cloud.

    Ports are published on 127.0.0.1 only, under their own numbers plus ``port_base``; under free
    ones without it, so that several sets can run side by side. ``computes`` is the number of
    compute nodes and ``driver`` theirs, such as fake.MediumFakeDriver; ``nodes``, instead of both,
    names each and says its driver. ``references`` name other images than the plan's, by target;
    ``platform`` is one that is not the machine's own.
    """
    targets = catalogue.targets
    services = {
        image.target: _service(
            image.target,
            targets[image.target],
            (references or {}).get(image.target, image.reference),
            port_base,
        )
        for image in parts(catalogue, plan)[0].images
    }
    if platform:
        services = {name: {**each, "platform": platform} for name, each in services.items()}
    for name in [name for name in services if name == COMPUTE or targets[name].alone]:
        if driver is not None:
            services[name]["environment"]["COMPUTE_DRIVER"] = driver
        if computes is not None and targets[name].alone:
            services[name]["environment"]["COMPUTES"] = str(computes)
        elif computes is not None:
            services |= _computes(services.pop(name), computes)
        elif nodes is not None:
            services |= _nodes(services.pop(name), nodes)
    return {"services": services}


def parts(catalogue: Catalogue, plan: Plan) -> tuple[Plan, ...]:
    """The clouds that the images of ``plan`` make: the set, then each that is one by itself."""
    targets = catalogue.targets
    alone = [image.target for image in plan.images if targets[image.target].alone]
    together = [image.target for image in plan.images if image.target not in alone]
    return tuple(plan.part(names) for names in (together, *([name] for name in alone)) if names)


def to_yaml(release: str, document: Mapping[str, Any]) -> str:
    """A compose file as text, with a project name for ``release``."""
    yaml, text = YAML(), StringIO()
    yaml.width = 200
    yaml.dump({"name": f"openstack-{release.replace('.', '-')}", **document}, text)
    return text.getvalue()


def _computes(compute: Mapping[str, Any], number: int) -> dict[str, Any]:
    if number <= _OWN_CONTAINER:
        return {COMPUTE: {**compute, "scale": number}}
    containers = -(-number // _IN_ONE_CONTAINER)
    shares = [number * (n + 1) // containers - number * n // containers for n in range(containers)]
    shared = {key: value for key, value in compute.items() if key not in ("scale", "hostname")}
    return {
        f"{COMPUTE}-{place}": {
            **shared,
            "hostname": f"{COMPUTE}-{place}",
            "environment": {**compute["environment"], "COMPUTES": str(share)},
        }
        for place, share in enumerate(shares, start=1)
    }


def _nodes(compute: Mapping[str, Any], nodes: Mapping[str, str | None]) -> dict[str, Any]:
    """A service for each node: its name is its host's, and nova's name of the hypervisor."""
    shared = {key: value for key, value in compute.items() if key not in ("scale", "hostname")}
    return {
        name: {
            **shared,
            "hostname": name,
            "environment": compute["environment"] | ({"COMPUTE_DRIVER": driver} if driver else {}),
        }
        for name, driver in nodes.items()
    }


def _service(name: str, target: Target, reference: str, port_base: int | None) -> dict[str, Any]:
    service: dict[str, Any] = {
        "image": reference,
        # A single $ would be a variable of the compose file.
        "environment": {k: v.replace("$", "$$") for k, v in target.environment.items()},
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "networks": {"default": {"aliases": list(target.aliases)}},
    }
    if target.replicas == 1:
        service["hostname"] = name
    else:
        service["scale"] = target.replicas
    if target.ports:
        service["ports"] = [
            f"127.0.0.1:{'' if port_base is None else port_base + port}:{port}"
            for port in target.ports
        ]
    return service
