"""The set as a compose file: from the same image.yaml that the images are built from. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.model import Catalogue, Target
    from builder.plan import Plan


COMPUTE = "nova-compute"


def compose_file(
    catalogue: Catalogue,
    plan: Plan,
    *,
    fixed_ports: bool,
    computes: int | None = None,
    references: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The compose specification of the whole set of ``plan``.

    Ports are published on 127.0.0.1 only: under their own numbers with ``fixed_ports``, under free
    ones otherwise, so that several sets can run side by side. ``computes`` is the number of
    compute nodes; ``references`` name other images than the plan's, by target.
    """
    targets = catalogue.targets
    services = {
        image.target: _service(
            image.target,
            targets[image.target],
            (references or {}).get(image.target, image.reference),
            fixed_ports,
        )
        for image in plan.images
    }
    if computes is not None:
        services[COMPUTE]["scale"] = computes
    return {"services": services}


def _service(name: str, target: Target, reference: str, fixed_ports: bool) -> dict[str, Any]:
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
        prefix = "127.0.0.1:{}:{}" if fixed_ports else "127.0.0.1::{1}"
        service["ports"] = [prefix.format(port, port) for port in target.ports]
    return service
