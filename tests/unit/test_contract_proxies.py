"""Services of one cloud ask each other without the proxy that Docker's client gives containers."""

import pytest
from contract.proxies import spared
from requests.utils import should_bypass_proxies

PROXY = "http://proxy.example.org:3128"
HERE = ("f00", "172.18.0.0/16")


def bypassed(host: str, environ: dict[str, str]) -> bool:
    """As requests decides, which every client of OpenStack stands on."""
    return bool(should_bypass_proxies(f"http://{host}:5000/v3", environ["no_proxy"]))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_own_services_need_no_proxy(name: str) -> None:
    found = spared({name: PROXY}, HERE)
    own = ("localhost", "127.0.0.1", "127.9.9.9", "[::1]", "f00", "172.18.3.4")
    # Each service of the catalogue, by the names in its definition.
    services = ("keystone", "glance", "placement", "neutron", "cinder", "controller")
    assert [host for host in (*own, *services) if not bypassed(host, found)] == []
    assert [host for host in ("example.org", "10.0.0.1", "8.8.8.8") if bypassed(host, found)] == []
    assert found["no_proxy"] == found["NO_PROXY"]
    assert found[name] == PROXY


def test_without_a_proxy_nothing_is_changed() -> None:
    environ = {"HTTP_PROXY": "", "NO_PROXY": "a.org", "OS_AUTH_URL": "http://id:5000/v3"}
    assert spared(environ, HERE) == environ


def test_what_was_exempt_stays() -> None:
    found = spared({"HTTP_PROXY": PROXY, "NO_PROXY": "a.org, b.org", "no_proxy": "c.org"}, ())
    assert found["NO_PROXY"].startswith("a.org,b.org,localhost,")
    assert found["no_proxy"].startswith("c.org,localhost,")
    assert spared({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, HERE)["no_proxy"] == "*"


def test_names_that_the_environment_gives_a_service() -> None:
    given = {
        "HTTP_PROXY": PROXY,
        "OS_AUTH_URL": "http://id:5000/v3",
        "PLACEMENT_URL": "http://10.1.2.3:8778",
        "PUBLIC_URL": "https://cloud.example.org",
        "NEUTRON_URL": "http://[fd00::7]:9696",
        "GLANCE_URL": "http://[bad",
        "GATEWAY_PATHS": "compute=nova-here:8774,image=images:9292",
    }
    found = spared(given, ())
    hosts = ("id", "10.1.2.3", "[fd00::7]", "nova-here", "images")
    assert [host for host in hosts if not bypassed(host, found)] == []
    # It may be far away, and be reached through the proxy only.
    assert not bypassed("cloud.example.org", found)
