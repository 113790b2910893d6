"""The files that the contract writes, and the addresses in them."""

import json
import stat
from pathlib import Path

import pytest
from contract import address, config
from contract.environment import read
from contract.errors import ContractError
from contract.services import SERVICES, Service
from contract.settings import Settings, find_role, resolve
from contract.urls import Database, parse_database, parse_transport
from contract.wait import NotYetError
from nova_runtime import cells, computes, reports

from builder.cloud.configuration import Configuration

GLANCE, KEYSTONE, NEUTRON, NOVA, PLACEMENT = (
    SERVICES[name] for name in ("glance", "keystone", "neutron", "nova", "placement")
)


def settings(role: str, **environ: str) -> Settings:
    return resolve(find_role(role), read(environ))


def test_defaults_are_those_of_the_old_images() -> None:
    found = settings("nova-controller")
    assert found.databases(NOVA)["nova"].url == (
        "mysql+pymysql://nova:NOVA_DBPASS@mysql:3306/nova?charset=utf8"
    )
    assert found.transport_url == "rabbit://guest:guest@rabbitmq:5672/"
    assert (found.admin.username, found.admin.password) == ("admin", "ADMIN_PASS")
    assert found.root_password() == "MYSQL_DBPASS"


def test_many_computes_of_one_container_report_less_often() -> None:
    few, many = (settings("nova-compute", COMPUTES=number) for number in ("10", "11"))
    assert "report_interval" not in config.sections(few, NOVA)["DEFAULT"]
    found = config.sections(many, NOVA)["DEFAULT"]
    assert (found["report_interval"], found["update_resources_interval"]) == ("10", "120")
    assert found["scheduler_instance_sync_interval"] == "60"


def test_a_given_connection_is_used_as_it_is() -> None:
    url = "mysql+pymysql://me:p%40ss@db.test/images"
    db = settings("glance", OS_DATABASE__CONNECTION=url).databases(GLANCE)["glance"]
    assert (db.user, db.password, db.host, db.port, db.name) == (
        "me",
        "p@ss",
        "db.test",
        3306,
        "images",
    )
    assert db.given


def test_embedded_services_do_not_share_novas_connection() -> None:
    url = "mysql+pymysql://me:pass@db.test/cell1"
    found = settings("nova-controller", OS_DATABASE__CONNECTION=url)
    assert found.databases(PLACEMENT)["placement"].user == "placement"
    assert found.databases(NOVA)["nova_cell0"].name == "nova_cell0"
    assert found.databases(NOVA)["nova_cell0"].host == "db.test"


def test_a_controller_embeds_what_it_is_not_given() -> None:
    assert [s.name for s in settings("nova-controller").embedded] == ["placement", "neutron"]
    given = settings("nova-controller", PLACEMENT_URL="http://p:8778", NEUTRON_URL="http://n:9696")
    assert given.embedded == ()


@pytest.mark.parametrize("password", ["p@ss:w/o?r#d%", "pässwörd", "a b"])
def test_passwords_survive_a_connection_url(password: str) -> None:
    db = Database("nova", "mysql", 3306, "nova", password)
    assert parse_database("x", db.url).password == password


@pytest.mark.parametrize(
    "url", ["sqlite://", "mysql://host/db", "mysql://u:p@/db", "mysql://u:p@h:x/db", "mysql://[x"]
)
def test_malformed_connections_are_mistakes_that_show_no_password(url: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_database("OS_DATABASE__CONNECTION", url)
    assert "OS_DATABASE__CONNECTION" in caught.value.message
    assert ":p@" not in caught.value.message


def test_transport_targets() -> None:
    assert parse_transport("rabbit://u:p@host/") == ("host", 5672)
    assert parse_transport("rabbit://u:p@a:1,u:p@b:2/") is None
    assert parse_transport("fake://") is None


@pytest.mark.parametrize("group", ["nova", "placement"])
def test_neutron_can_tell_the_others(group: str) -> None:
    conf = config.sections(settings("neutron"), NEUTRON)[group]
    assert (conf["username"], conf["password"]) == ("neutron", "NEUTRON_PASS")
    assert (conf["endpoint_type"], conf["region_name"]) == ("internal", "RegionOne")


def test_a_compute_has_no_database() -> None:
    text = config.render(config.sections(settings("nova-compute"), NOVA))
    assert "connection" not in text
    assert "transport_url = rabbit://guest:guest@rabbitmq:5672/" in text


def test_compute_driver_and_json_logs() -> None:
    found = settings("nova-compute", COMPUTE_DRIVER="fake.MediumFakeDriver", LOG_FORMAT="json")
    default = config.sections(found, NOVA)["DEFAULT"]
    assert default["compute_driver"] == "fake.MediumFakeDriver"
    assert default["use_json"] == "true"


def test_rendering_escapes_what_oslo_config_expands() -> None:
    assert "password = a$$b" in config.render({"x": {"password": "a$b"}})
    with pytest.raises(ContractError):
        config.render({"x": {"password": "a\nb"}})


def test_files_are_private_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "glance").mkdir()
    for password in ("one", "two"):
        config.write_all(settings("glance", GLANCE_PASS=password), tmp_path)
    conf = tmp_path / "glance" / "glance.conf"
    assert "password = two" in conf.read_text()
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    clouds = json.loads((tmp_path / "glance" / "clouds.yaml").read_text())["clouds"]
    assert set(clouds) == {"admin", "demo", "alt", "system-admin"}
    assert clouds["demo"]["auth"]["password"] == "DEMO_PASS"


def test_a_directory_that_is_not_writable_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot write"):
        config.write(tmp_path / "missing" / "x.conf", "")


def test_cell_templates_hold_no_secret() -> None:
    db = settings("nova-controller").databases(NOVA)["nova"]
    template = cells.database_template(db, db.url, "nova_cell0")
    assert template == "{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0?{query}"
    assert ":{port}" not in cells.database_template(db, "mysql://u:p@host/nova", "x")
    transport = cells.transport_template("rabbit://guest:guest@rabbitmq:5672/")
    assert transport == "{scheme}://{username}:{password}@{hostname}:{port}/{path}"


def test_an_unknown_role_lists_the_roles() -> None:
    with pytest.raises(ContractError) as caught:
        settings("nova")
    assert "nova-compute" in caught.value.hint


AIO = "http://127.0.0.1"
BASE = {"PUBLIC_PORT_BASE": "30000"}


@pytest.mark.parametrize(
    ("environ", "service", "public"),
    [
        ({}, NOVA, f"{AIO}:8774/v2.1"),
        ({"PUBLIC_HOST": "cloud.test"}, NOVA, "http://cloud.test:8774/v2.1"),
        (BASE, KEYSTONE, f"{AIO}:35000/v3"),
        (BASE | {"PUBLIC_HOST": "cloud.test"}, GLANCE, "http://cloud.test:39292"),
        (BASE | {"GLANCE_PUBLIC_URL": "https://a.test/"}, GLANCE, "https://a.test"),
        (BASE | {"PUBLIC_URL": "https://a.test"}, NOVA, "https://a.test"),
        (BASE | {"PUBLIC_URL": "https://a.test"}, PLACEMENT, f"{AIO}:38778"),
    ],
)
def test_only_public_endpoints_are_for_clients_outside(
    environ: dict[str, str], service: Service, public: str
) -> None:
    found = address.urls(settings("aio", **environ), service)
    inside = f"{AIO}:{service.endpoint.port}{service.endpoint.path}"
    assert found == {"public": public, "internal": inside, "admin": inside}


@pytest.mark.parametrize("interface", ["public", "internal", "admin"])
@pytest.mark.parametrize("service", [KEYSTONE, GLANCE, PLACEMENT])
def test_each_endpoint_of_each_service_can_be_given(service: Service, interface: str) -> None:
    name = f"{service.name}_{interface}_url".upper()
    found = address.urls(settings("aio", **{name: "http://x.test:1"}), service)
    assert {key for key, url in found.items() if url == "http://x.test:1"} == {interface}


def test_clients_in_a_container_use_the_internal_endpoints() -> None:
    entries = json.loads(config.clouds(settings("keystone")))["clouds"]
    assert {entry["interface"] for entry in entries.values()} == {"internal"}


def test_a_container_has_devstacks_entries_as_the_host_has_them() -> None:
    entries = json.loads(config.clouds(settings("keystone", SAMPLES="devstack")))["clouds"]
    found = {
        (name, auth["username"], auth["password"], auth.get("project_name"))
        for name, auth in ((name, entry["auth"]) for name, entry in entries.items())
        if name.startswith("devstack")
    }
    outside = Configuration(samples="devstack").entries("cloud")
    assert found == {entry for entry in outside if entry[0].startswith("devstack")}


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_aio_knows_the_computes_that_it_once_had(
    number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPUTES", number)
    known = ["node1", "node2", "node3", "mine", "node"]
    expected = {"1": {"node2", "node3"}, "2": {"node3"}, "3": set()}
    assert computes.surplus("aio", known) == expected[number]


def test_a_program_is_there_when_it_reports_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {("nova-conductor", "a"): 7, ("nova-scheduler", "a"): 3}
    monkeypatch.setattr(reports, "counts", lambda _: found)
    expect = reports.expect
    with pytest.raises(NotYetError, match="nova-conductor"):
        expect(settings("aio"), dict(found), "nova-conductor")
    expect(settings("aio"), {("nova-conductor", "a"): 6}, "nova-conductor", "nova-scheduler")


@pytest.mark.parametrize(("value", "cache"), [("", None), ("-shared_cache", {"proxies": ""})])
def test_keystone_has_no_cache_of_ours_without_its_patch(
    value: str, cache: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHES", value)
    settings = resolve(find_role("keystone"), read({"PATCHES": value}))
    assert config.sections(settings, SERVICES["keystone"]).get("cache") == cache
