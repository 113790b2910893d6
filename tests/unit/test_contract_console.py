"""Log lines, as text and as JSON; versions in schema dumps; names of networks."""

import json
from pathlib import Path

import pytest
from contract import console
from contract.address import has_network_dns
from contract.programs import own_environment, path_with_venv
from contract.services import SERVICES


def test_json_lines_are_objects() -> None:
    line = json.loads(console.as_json("INFO", "contract", "grüße 你好", now=0))
    assert line == {
        "timestamp": "1970-01-01T00:00:00Z",
        "level": "INFO",
        "logger": "contract",
        "message": "grüße 你好",
    }


def test_json_of_a_service_is_passed_on_and_text_is_wrapped() -> None:
    own = '{"message": "x"}'
    assert console.to_json_line("nova-api", own) == own
    for text in ("plain", "{not json}", "[1]", '"text"'):
        wrapped = json.loads(console.to_json_line("nova-api", text))
        assert (wrapped["logger"], wrapped["message"]) == ("nova-api", text)


def test_log_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    assert console.line("WARNING", "x") == "contract: warning: x"
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert json.loads(console.line("WARNING", "x"))["level"] == "WARNING"


def test_which_networks_resolve_names(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 127.0.0.11\n")
    assert has_network_dns(file)
    file.write_text("nameserver 10.0.0.1\n")
    assert not has_network_dns(file)
    assert not has_network_dns(tmp_path / "missing")


def test_embedded_services_get_only_their_own_options() -> None:
    environ = {
        "PATH": "/bin",
        "OS_DATABASE__CONNECTION": "nova's",
        "OS_DEFAULT__DEBUG": "true",
        "OS_PLACEMENT_DATABASE__CONNECTION": "placement's",
    }
    assert set(own_environment(SERVICES["neutron"], environ)) == {"PATH", "OS_DEFAULT__DEBUG"}
    assert "OS_PLACEMENT_DATABASE__CONNECTION" in own_environment(SERVICES["placement"], environ)


def test_the_virtual_environment_is_on_the_path_once() -> None:
    once = path_with_venv("/usr/bin")
    assert once == "/opt/openstack/bin:/usr/bin"
    assert path_with_venv(once) == once
