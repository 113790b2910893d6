"""The environment of a container: secrets, legacy names, mistakes."""

from pathlib import Path

import pytest
from contract.environment import read
from contract.errors import ContractError


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
        {"LOG_FORMAT": "xml"},
        {"PLACEMENT_URL": "placement"},
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
