"""The networks that DevStack makes: demo's own, behind a router.

Source: create_neutron_initial_network in DevStack's lib/neutron_plugins/services/l3. The IPv6
addresses of the projects' pool are chosen at random there. There is no network that all share, as
DevStack's lib/tempest makes one: a server that names no network could then be on either.
"""

from __future__ import annotations

from typing import Any

from contract.database import locked
from contract.rest import AnswerError, Client
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline, answers

from neutron_runtime.networks import EXTERNAL, POOL

POOL_V6 = {
    "name": "shared-default-subnetpool-v6",
    "prefixes": ["fd4f:70e3:2a1d::/56"],
    "default_prefixlen": 64,
    "is_default": True,
    "shared": True,
}
PUBLIC_V6 = {
    "name": "ipv6-public-subnet",
    "ip_version": 6,
    "cidr": "2001:db8::/64",
    "gateway_ip": "2001:db8::2",
    "enable_dhcp": False,
}
PRIVATE = {"name": "private-subnet", "ip_version": 4}
PRIVATE_V6 = {
    "name": "ipv6-private-subnet",
    "ip_version": 6,
    "ipv6_ra_mode": "slaac",
    "ipv6_address_mode": "slaac",
}


class Topology:
    """Networks, subnets and a router, made where none has the name."""

    def __init__(self, settings: Settings, deadline: Deadline) -> None:
        neutron = SERVICES["neutron"]
        self.settings, self.deadline = settings, deadline
        self.url = f"http://127.0.0.1:{neutron.endpoint.port}"
        self.admin = Client(settings.auth_url, settings.service_login(neutron))
        self.demo = Client(settings.auth_url, settings.demo)

    def ensure(self) -> None:
        self.deadline.wait("neutron's own API", lambda: answers(f"{self.url}/"))
        db = self.settings.databases(SERVICES["neutron"])["neutron"]
        with locked(db, "devstack", self.settings.wait_timeout):
            self._ensure()

    def _ensure(self) -> None:
        self._made(self.admin, "subnetpool", POOL_V6)
        public = self._made(self.admin, "network", EXTERNAL)
        self._subnet(self.admin, public, PUBLIC_V6)
        private = self._made(self.demo, "network", {"name": "private"})
        inside = [
            self._subnet(self.demo, private, {**subnet, "subnetpool_id": self._pool(pool)})
            for subnet, pool in ((PRIVATE, POOL), (PRIVATE_V6, POOL_V6))
        ]
        gateway = {"network_id": public["id"]}
        router = self._made(
            self.demo, "router", {"name": "router1", "external_gateway_info": gateway}
        )
        for subnet in inside:
            self._serve(router["id"], subnet["id"])

    def _serve(self, router: str, subnet: str) -> None:
        if subnet in self._served(router):
            return
        path = f"{self.url}/v2.0/routers/{router}/add_router_interface"
        try:
            self.demo.send("PUT", path, {"subnet_id": subnet})
        except AnswerError:
            # It was sent again because its answer was lost, and neutron has done it.
            if subnet not in self._served(router):
                raise

    def _served(self, router: str) -> set[str]:
        ports = self._list(self.demo, "port", device_id=router)
        return {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}

    def _pool(self, pool: dict[str, Any]) -> str:
        return str(self._list(self.demo, "subnetpool", name=pool["name"])[0]["id"])

    def _subnet(self, api: Client, network: Any, subnet: dict[str, Any]) -> Any:
        return self._made(api, "subnet", {**subnet, "network_id": network["id"]})

    def _list(self, api: Client, kind: str, **where: str) -> Any:
        return api.get(f"{self.url}/v2.0/{kind}s", **where)[f"{kind}s"]

    def _made(self, api: Client, kind: str, new: dict[str, Any]) -> Any:
        if found := self._list(api, kind, name=new["name"]):
            return found[0]
        return api.send("POST", f"{self.url}/v2.0/{kind}s", {kind: new})[kind]
