"""What heat's container puts before upstream's application, and into its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from contract import address, config
from contract.environment import read
from contract.services import SERVICES
from contract.settings import Settings, find_role, resolve
from heat_runtime import cloudformation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from contract.answers import Wsgi

HEAT = SERVICES["heat"]


def settings(role: str, **environ: str) -> Settings:
    return resolve(find_role(role), read(environ))


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name by which other containers know this one; else it asks the network."""
    monkeypatch.setattr(address, "host", lambda _settings, service: service.endpoint.host)


def says(name: str) -> Wsgi:
    """An application that answers with its name, and with what it sees of the path."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [f"{name} {environ.get('SCRIPT_NAME', '')}|{environ['PATH_INFO']}".encode()]

    return serve


def ask(application: Wsgi, path: str, script: str = "") -> tuple[str, dict[str, str], str]:
    answer: list[Any] = []
    body = application(
        {"PATH_INFO": path, "SCRIPT_NAME": script}, lambda *given: answer.extend(given)
    )
    return answer[0], dict(answer[1]), b"".join(body).decode()


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/v1/p/stacks", "heat |/v1/p/stacks"),
        ("/", "heat |/"),
        ("/cfn", "cfn /cfn|/"),
        ("/cfn/v1/waitcondition/x", "cfn /cfn|/v1/waitcondition/x"),
        ("/cfnx", "heat |/cfnx"),
    ],
)
def test_two_apis_of_one_port(path: str, seen: str) -> None:
    both = cloudformation.below(says("heat"), says("cfn"))
    assert ask(both, path)[2] == seen


def test_a_path_of_a_proxy_stays_before_it() -> None:
    both = cloudformation.below(says("heat"), says("cfn"))
    found = ask(both, "/cfn/v1", "/orchestration")[2]
    assert found == "cfn /orchestration/cfn|/v1"


def test_servers_are_told_the_address_for_containers() -> None:
    found = config.sections(settings("heat", HEAT_PUBLIC_URL="http://cloud.test/v1"), HEAT)
    assert found["DEFAULT"]["heat_metadata_server_url"] == "http://heat:8004/cfn/v1"
    assert (
        found["DEFAULT"]["heat_waitcondition_server_url"] == "http://heat:8004/cfn/v1/waitcondition"
    )


def test_the_administrator_of_stacks_users_has_the_password_of_heat() -> None:
    found = config.sections(settings("heat", HEAT_PASS="secret"), HEAT)
    assert found["DEFAULT"]["stack_domain_admin_password"] == "secret"


def test_a_trust_names_the_project_itself() -> None:
    """keystone refuses a login by a trust that names a project, too."""
    trustee = config.sections(settings("heat"), HEAT)["trustee"]
    assert (trustee["username"], trustee["user_domain_name"]) == ("heat", "Default")
    assert not [name for name in trustee if name.startswith("project")]
