"""What neutron makes a network of for a project that has none: an external network and a pool.

Made only where there is none yet: a cloud without them stays as its user wants it.
"""

from __future__ import annotations

from contract.database import locked
from contract.rest import Client
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline, answers

# The names and addresses that DevStack gives them, but that more projects find room.
EXTERNAL = {
    "name": "public",
    "router:external": True,
    "is_default": True,
    "provider:network_type": "flat",
    "provider:physical_network": "public",
}
EXTERNAL_SUBNET = {
    "name": "public-subnet",
    "ip_version": 4,
    "cidr": "172.24.4.0/24",
    "gateway_ip": "172.24.4.1",
    "enable_dhcp": False,
}
POOL = {
    "name": "shared-default-subnetpool-v4",
    "prefixes": ["10.0.0.0/16"],
    "default_prefixlen": 26,
    "is_default": True,
    "shared": True,
}


def ensure(settings: Settings, deadline: Deadline) -> None:
    """Through this container's own API, as neutron's own user."""
    neutron = SERVICES["neutron"]
    url = f"http://127.0.0.1:{neutron.endpoint.port}"
    deadline.wait("neutron's own API", lambda: answers(f"{url}/"))
    api = Client(settings.auth_url, settings.service_login(neutron))
    with locked(settings.databases(neutron)["neutron"], "networks", settings.wait_timeout):
        _networks(api, f"{url}/v2.0")


def _networks(api: Client, neutron: str) -> None:
    """The pool last: where there is one, nothing is missing."""
    if api.get(f"{neutron}/subnetpools")["subnetpools"]:
        return
    found = api.get(f"{neutron}/networks")["networks"] or [
        api.send("POST", f"{neutron}/networks", {"network": EXTERNAL})["network"]
    ]
    # Alone, and without a pool: an earlier start was interrupted.
    if [network["name"] for network in found] == [EXTERNAL["name"]]:
        if not found[0]["subnets"]:
            subnet = {"network_id": found[0]["id"], **EXTERNAL_SUBNET}
            api.send("POST", f"{neutron}/subnets", {"subnet": subnet})
        api.send("POST", f"{neutron}/subnetpools", {"subnetpool": POOL})
