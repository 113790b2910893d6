"""The environment of a container: secrets, legacy names, mistakes."""

from pathlib import Path

import pytest
from contract.environment import read
from contract.errors import ContractError
from contract.settings import find_role, resolve


def test_legacy_names_are_mapped_with_one_warning_each() -> None:
    env = read(
        {
            "OS_TENANT_NAME": "admin",
            "OS_AUTH_URL": "http://keystone:5000/v2.0",
            "MYSQL_ENV_MYSQL_ROOT_PASSWORD": "secret",
        }
    )
    assert env.values["OS_PROJECT_NAME"] == "admin"
    assert env.values["OS_AUTH_URL"] == "http://keystone:5000/v3"
    assert env.values["MYSQL_ROOT_PASSWORD"] == "secret"
    assert len(env.warnings) == 3
    assert not any("secret" in warning for warning in env.warnings)


def test_a_current_name_wins_over_a_legacy_one() -> None:
    env = read({"OS_TENANT_NAME": "old", "OS_PROJECT_NAME": "new"})
    assert env.values["OS_PROJECT_NAME"] == "new"
    assert "ignored" in env.warnings[0]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://keystone:5000", "http://keystone:5000/v3"),
        ("http://keystone:5000/v3/", "http://keystone:5000/v3"),
        ("http://keystone:35357/v2.0", "http://keystone:5000/v3"),
        ("https://cloud.test/identity", "https://cloud.test/identity/v3"),
    ],
)
def test_auth_urls(given: str, used: str) -> None:
    assert read({"OS_AUTH_URL": given}).values["OS_AUTH_URL"] == used


@pytest.mark.parametrize(
    "environ",
    [
        {"OS_AUTH_URL": "http://keystone:5000/v7"},
        {"OS_AUTH_URL": "keystone:5000"},
        {"OS_AUTH_URL": "http://keystone:port/v3"},
        {"OS_IDENTITY_API_VERSION": "4"},
        {"WAIT_TIMEOUT": "soon"},
        {"API_WORKERS": "abc"},
        {"API_WORKERS": "0"},
        {"API_THREADS": "abc"},
        {"COMPUTES": "²"},
        {"DB_PORT": "70000"},
        {"PUBLIC_PORT_BASE": "-1"},
        {"LOG_FORMAT": "xml"},
        {"PLACEMENT_URL": "placement"},
        {"PATCHES": "no-such-patch"},
        {"NOVA_DBPASS_FILE": "/nowhere/secret"},
        {"OS_DEFAULT__DEBUG": "true\nfalse"},
    ],
)
def test_a_mistake_names_the_variable_and_gives_a_hint(environ: dict[str, str]) -> None:
    with pytest.raises(ContractError) as caught:
        read(environ)
    assert next(iter(environ)) in caught.value.message
    assert caught.value.hint


def test_secrets_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("päss word\n", encoding="utf-8")
    env = read(
        {
            "NOVA_DBPASS_FILE": str(secret),
            "OS_KEYSTONE_AUTHTOKEN__PASSWORD_FILE": str(secret),
            "OS_SSL__CA_FILE": str(secret),
        }
    )
    assert env.values["NOVA_DBPASS"] == "päss word"
    assert env.option("keystone_authtoken", "password") == "päss word"
    assert env.option("ssl", "ca_file") == str(secret)


def test_a_secret_given_twice_or_empty_is_a_mistake(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(ContractError, match="both set"):
        read({"NOVA_PASS": "a", "NOVA_PASS_FILE": str(empty)})
    with pytest.raises(ContractError, match="is empty"):
        read({"NOVA_PASS_FILE": str(empty)})


def test_options_of_several_services() -> None:
    env = read({"OPTIONS": "neutron.DEFAULT.dns_domain=a.org.\n\n nova.api.max_limit = 1=2 "})
    assert env.options == {
        "neutron": {"DEFAULT": {"dns_domain": "a.org."}},
        "nova": {"api": {"max_limit": "1=2"}},
    }


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"OPTIONS": "debug=true"}, "debug=true"),
        ({"OPTIONS": "neutrn.DEFAULT.debug=true"}, "neutrn"),
        ({"SAMPLES": "devstak"}, "devstak"),
    ],
)
def test_what_is_wrong_in_a_configuration_is_named(values: dict[str, str], names: str) -> None:
    with pytest.raises(ContractError, match=names) as caught:
        read(values)
    assert caught.value.hint


# What a CI gives to each container beside a job that uses OpenStack.
JOB = {
    "OS_AUTH_URL": "http://openstack/identity",
    "OS_USERNAME": "demo",
    "OS_PASSWORD": "secret",
    "OS_PROJECT_NAME": "demo",
    "OS_REGION_NAME": "Elsewhere",
    "OS_CLOUD": "mine",
    "OS_IDENTITY_API_VERSION": "2.0",
    "OS_PASSWORD_FILE": "/no/such/file",
    "MYSQL_HOST": "mysql",
    "MARIADB_ROOT_PASSWORD": "secret",
}


def test_a_whole_cloud_takes_no_setting_from_a_clients_variables() -> None:
    own = {"ADMIN_PASS": "mine", "OS_DEFAULT__DEBUG": "true", "OS_CLIENT_CONFIG_FILE": "/run/x"}
    found = read(JOB | own | {"API_THREADS": "3"}, whole=True)
    assert dict(found.values) == own | {"API_WORKERS": "3"}
    aio = resolve(find_role("aio"), found)
    assert (aio.admin.username, aio.admin.password, aio.admin.project) == ("admin", "mine", "admin")
    assert (aio.auth_url, aio.region) == ("http://127.0.0.1:5000/v3", "RegionOne")
    clients, legacy, renamed = found.warnings
    assert renamed == "API_THREADS is a legacy name, used as API_WORKERS"
    ignored = ", ".join(sorted(name for name in JOB if name.startswith("OS_")))
    assert clients == f"ignored: {ignored} (a client's, and no setting of this cloud)"
    assert legacy.startswith("ignored: MARIADB_ROOT_PASSWORD, MYSQL_HOST (legacy names")


def test_a_whole_cloud_logs_in_to_a_keystone_elsewhere() -> None:
    given = {"KEYSTONE_URL": "http://k:5000", "OS_AUTH_URL": "http://k:5000", "OS_PASSWORD": "x"}
    aio = resolve(find_role("aio"), read(given, whole=True))
    assert (aio.auth_url, aio.admin.password) == ("http://k:5000/v3", "x")


def test_a_container_of_a_set_is_configured_as_ever() -> None:
    given = {"OS_AUTH_URL": "http://k:5000", "OS_PASSWORD": "x", "REGION_NAME": "one"}
    found = resolve(find_role("glance"), read(given))
    assert (found.auth_url, found.admin.password, found.region) == ("http://k:5000/v3", "x", "one")


def test_a_variable_that_only_ends_as_ours_is_not_checked() -> None:
    assert read({"MY_PUBLIC_URL": "/app"}).values == {"MY_PUBLIC_URL": "/app"}
