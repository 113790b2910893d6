"""Makes the compose file of a set, from the image.yaml files. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from builder.catalogue.definitions import prefix
from builder.cloud.configuration import DEFAULTS, IDENTITY, Configuration, is_gateway
from builder.loopback import HOSTS as LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from builder.catalogue.model import Catalogue, Target
    from builder.image.plan import Plan


# https://docs.docker.com/engine/network/drivers/bridge/#options
_MTU = "com.docker.network.driver.mtu"
# Where ports are published, and clients outside of the containers find them.
HOST = "127.0.0.1"
# Where the identity service's container serves all APIs by https
TLS_PORT = 443
# So many computes have a container each; more share containers, so many in one.
OWN_CONTAINER = 10
_IN_ONE_CONTAINER = 25


@dataclass(frozen=True)
class Network:
    """The network of a cloud: its MTU, where it is not Docker's own default for a new one.

    ``without_proxy`` are more hosts that containers ask without the proxies of Docker's client.
    """

    mtu: int | None = None
    without_proxy: tuple[str, ...] = ()


ENGINES = Network()


def compose_file(
    catalogue: Catalogue,
    plan: Plan,
    *,
    port_base: int | None,
    computes: int | None = None,
    driver: str | None = None,
    nodes: Mapping[str, str | None] | None = None,
    configuration: Configuration = DEFAULTS,
    references: Mapping[str, str] | None = None,
    platform: str | None = None,
    network: Network = ENGINES,
) -> dict[str, Any]:
    """The compose specification of the images of ``plan`` that are one cloud.

    Ports are published on 127.0.0.1 only, under their own numbers plus ``port_base``, where the
    catalog's public endpoints are then; under free ones without it, so that several sets can run
    side by side, each with a catalog that only its containers can use. ``computes`` is the number
    of compute nodes and ``driver`` the driver of all; ``nodes``, instead of both, names each node
    and its driver; ``configuration`` is for all. ``references`` name other images than the
    plan's, by target; ``platform`` is one that is not the machine's own; ``network`` is what the
    engine does not do by itself.
    """
    targets = catalogue.targets
    services = {
        image.target: _service(
            image.target,
            targets[image.target],
            (references or {}).get(image.target, image.reference),
            port_base,
            published_ports(catalogue, image.target, configuration),
            _apis(catalogue),
            configuration.environment(catalogue, image.target),
        )
        for image in parts(catalogue, plan)[0].images
    }
    _add_gateway(catalogue, services)
    if platform:
        services = {name: {**each, "platform": platform} for name, each in services.items()}
    services = _with_nodes(targets, services, computes, driver, nodes)
    _spare_from_proxies(services, network.without_proxy)
    return {"services": services, **_own_network(network)}


def _with_nodes(
    targets: Mapping[str, Target],
    services: Mapping[str, Any],
    computes: int | None,
    driver: str | None,
    nodes: Mapping[str, str | None] | None,
) -> dict[str, Any]:
    """The services, with the one of the compute target as often as there are nodes."""
    found = dict(services)
    for name in [n for n in services if targets[n].compute or targets[n].standalone]:
        environment = found[name]["environment"]
        if driver is not None:
            environment["COMPUTE_DRIVER"] = driver
        if computes is not None and targets[name].standalone:
            environment["COMPUTES"] = str(computes)
        elif computes is not None:
            found |= _computes(name, found.pop(name), computes)
        elif nodes is not None:
            found |= _nodes(found.pop(name), nodes)
    return found


def _spare_from_proxies(services: Mapping[str, Any], more: Sequence[str]) -> None:
    """Let what runs in the containers ask each other's names without a proxy.

    Docker gives a container the proxies of its config.json, but for what is set here.
    """
    aliases = [
        alias for each in services.values() for alias in each["networks"]["default"]["aliases"]
    ]
    exempt = ",".join(dict.fromkeys([*LOOPBACK, *services, *aliases, *more]))
    for service in services.values():
        service["environment"] |= {"NO_PROXY": exempt, "no_proxy": exempt}


def _own_network(network: Network) -> dict[str, Any]:
    if network.mtu is None:
        return {}
    return {"networks": {"default": {"driver_opts": {_MTU: str(network.mtu)}}}}


def published_ports(
    catalogue: Catalogue, target: str, configuration: Configuration
) -> tuple[int, ...]:
    """Its own; with TLS, of all APIs only the one port of the container that serves them all."""
    own = catalogue.targets[target].ports
    if not configuration.tls:
        return own
    others = tuple(port for port in own if port not in _apis(catalogue))
    return (*others, TLS_PORT) if is_gateway(catalogue, target) else others


def _apis(catalogue: Catalogue) -> set[int]:
    return {service.port for service in catalogue.services.values()}


def _add_gateway(catalogue: Catalogue, services: Mapping[str, Any]) -> None:
    """Tell the identity service where the others are: it serves them all on its one port."""
    apis = {
        name: service
        for name, service in catalogue.services.items()
        if catalogue.api_of(name) in services
    }
    paths = [
        f"{path.removeprefix('/')}={service.host or name}:{service.port}"
        for name, service in apis.items()
        if service.type != IDENTITY
        for path in (prefix(service), *service.relative)
    ]
    for name, service in apis.items():
        if service.type == IDENTITY and paths:
            services[catalogue.api_of(name)]["environment"]["GATEWAY_PATHS"] = ",".join(paths)


def parts(catalogue: Catalogue, plan: Plan) -> tuple[Plan, ...]:
    """The clouds that the images of ``plan`` make: the set, then each that is one by itself."""
    targets = catalogue.targets
    standalone = [image.target for image in plan.images if targets[image.target].standalone]
    together = [image.target for image in plan.images if image.target not in standalone]
    clouds = (together, *([name] for name in standalone))
    return tuple(plan.part(names) for names in clouds if names)


def to_yaml(release: str, document: Mapping[str, Any]) -> str:
    """A compose file as text, with a project name for ``release``."""
    yaml, text = YAML(), StringIO()
    yaml.width = 200
    yaml.dump({"name": f"openstack-{release.replace('.', '-')}", **document}, text)
    return text.getvalue()


def _computes(name: str, compute: Mapping[str, Any], number: int) -> dict[str, Any]:
    if number <= OWN_CONTAINER:
        return {name: {**compute, "scale": number}}
    containers = -(-number // _IN_ONE_CONTAINER)
    shares = [number * (n + 1) // containers - number * n // containers for n in range(containers)]
    shared = {key: value for key, value in compute.items() if key not in ("scale", "hostname")}
    return {
        f"{name}-{place}": {
            **shared,
            "hostname": f"{name}-{place}",
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


def _service(
    name: str,
    target: Target,
    reference: str,
    port_base: int | None,
    ports: Sequence[int],
    apis: Collection[int],
    configured: dict[str, str],
) -> dict[str, Any]:
    service: dict[str, Any] = {
        "image": reference,
        # A single $ would be a variable of the compose file.
        "environment": {
            name: value.replace("$", "$$")
            for name, value in (target.environment | configured).items()
        }
        | _public(ports, port_base, apis),
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "networks": {"default": {"aliases": list(target.aliases)}},
    }
    if target.replicas == 1:
        service["hostname"] = name
    else:
        service["scale"] = target.replicas
    if ports:
        service["ports"] = [
            f"{HOST}:{'' if port_base is None else port_base + port}:{port}" for port in ports
        ]
    return service


def _public(ports: Sequence[int], port_base: int | None, apis: Collection[int]) -> dict[str, str]:
    """Makes the public endpoints of the catalog those that are published."""
    if port_base is None or not set(apis) & set(ports):
        return {}
    return {"PUBLIC_HOST": HOST, "PUBLIC_PORT_BASE": str(port_base)}
