"""A compute driver without servers: upstream's no-op one, with the ports that nova would plug.

octavia takes the addresses of an amphora from its ports, which are neutron's own here. nova makes
a port the server's by its device; so does this driver.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from octavia.common import keystone
from octavia.compute.drivers.noop_driver.driver import NoopComputeDriver
from oslo_config import cfg

PORTS = "/v2.0/ports"


class FakeComputeDriver(NoopComputeDriver):  # type: ignore[misc]
    def attach_network_or_port(
        self,
        compute_id: str,
        network_id: str | None = None,
        ip_address: str | None = None,
        port_id: str | None = None,
    ) -> Any:
        """What nova's client returns: the interface of a server."""
        mine = {"device_id": compute_id}
        if port_id:
            port = _neutron("PUT", f"{PORTS}/{port_id}", json={"port": mine})["port"]
        else:
            new: dict[str, Any] = {
                **mine,
                "network_id": network_id,
                "name": f"octavia-amphora-{compute_id}",
            }
            if ip_address:
                new["fixed_ips"] = [{"ip_address": ip_address}]
            port = _neutron("POST", PORTS, json={"port": new})["port"]
        return SimpleNamespace(
            id=port["id"],
            port_id=port["id"],
            net_id=port["network_id"],
            fixed_ips=port["fixed_ips"],
        )

    def detach_port(self, compute_id: str, port_id: str) -> None:
        super().detach_port(compute_id, port_id)
        _neutron("PUT", f"{PORTS}/{port_id}", json={"port": {"device_id": ""}})

    def delete(self, compute_id: str) -> None:
        """Its ports go with it."""
        super().delete(compute_id)
        for port in _neutron("GET", PORTS, params={"device_id": compute_id})["ports"]:
            _neutron("DELETE", f"{PORTS}/{port['id']}")


def _neutron(method: str, path: str, **given: Any) -> Any:
    """The body of neutron's answer; what is gone already is no error."""
    where = {
        "service_type": "network",
        "interface": "internal",
        "region_name": cfg.CONF.neutron.region_name,
    }
    session = keystone.KeystoneSession().get_session()
    answer = session.request(path, method, endpoint_filter=where, raise_exc=False, **given)
    if answer.status_code == 404 and method != "GET":
        return {}
    answer.raise_for_status()
    return answer.json() if answer.content else {}
