"""The runtime configuration: resolved values as oslo.config files, and clouds.yaml."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from contract.errors import ContractError
from contract.services import GLANCE, Service
from contract.settings import Login, Settings

Sections = dict[str, dict[str, str]]
RUN = Path("/run")
# Beside an API, computes have options of their own: one that sees its databases would use them.
COMPUTE_CONF = RUN / "nova" / "compute.conf.d"
OWN_CONF = Path("/etc/nova/nova.conf.d")
CONTRACT_CONF = "00-contract.conf"
# The reports of more computes than these are most of what the control plane has to do.
FEW_COMPUTES = 10
# Those whose servers the scheduler does not know yet cost it a query each, for every new server.
FOR_MANY = {
    "report_interval": "10",
    "update_resources_interval": "120",
    "scheduler_instance_sync_interval": "60",
}


def sections(settings: Settings, service: Service) -> Sections:
    """What the contract resolved for one service; files and environment may override it."""
    conf: Sections = {"DEFAULT": {}}
    if settings.json_logs:
        conf["DEFAULT"]["use_json"] = "true"
    if settings.role.serves_api:
        _add_databases(conf, settings, service)
        if service.name != "keystone":
            conf["keystone_authtoken"] = _authtoken(settings, service)
    if service.name == "nova":
        _add_nova(conf, settings)
    if service is settings.main:
        for group, options in settings.env.from_files.items():
            # oslo.config knows only its DEFAULT group in upper case.
            name = "DEFAULT" if group == "default" else group
            conf.setdefault(name, {}).update(options)
    return conf


def _add_databases(conf: Sections, settings: Settings, service: Service) -> None:
    for schema in service.schemas:
        if schema.group:
            url = settings.database(service, schema).url
            conf.setdefault(schema.group, {})["connection"] = url


def _add_nova(conf: Sections, settings: Settings) -> None:
    conf["DEFAULT"]["transport_url"] = settings.transport_url
    if driver := settings.env.given("COMPUTE_DRIVER"):
        conf["DEFAULT"]["compute_driver"] = driver
    if int(settings.env.given("COMPUTES") or 1) > FEW_COMPUTES:
        conf["DEFAULT"] |= FOR_MANY
    for group in ("placement", "neutron", "service_user"):
        conf[group] = _auth(settings, settings.service_login(settings.main))
    for group, url in endpoint_overrides(settings).items():
        conf.setdefault(group, {})["endpoint_override"] = url


def endpoint_overrides(settings: Settings) -> dict[str, str]:
    """Fixed addresses: those that the user names, and those behind a legacy link.

    A link's host name follows the container when its address changes; the catalog of a
    linked cloud holds addresses and is corrected only when that container starts again.
    """
    env = settings.env
    urls: dict[str, str] = {}
    if GLANCE in settings.services:
        urls["glance"] = f"http://127.0.0.1:{GLANCE.endpoint.port}"
    elif env.given("GLANCE_NAME"):
        urls["glance"] = "http://glance:9292"
    for name, port in (("placement", 8778), ("neutron", 9696)):
        if given := env.given(f"{name.upper()}_URL"):
            urls[name] = given
        elif env.given("CONTROLLER_NAME"):
            urls[name] = f"http://controller:{port}"
        elif settings.role.serves_api:
            urls[name] = f"http://127.0.0.1:{port}"
    return urls


def _auth(settings: Settings, login: Login) -> dict[str, str]:
    return {
        "auth_type": "password",
        "auth_url": settings.auth_url,
        "username": login.username,
        "password": login.password,
        "project_name": login.project,
        "user_domain_name": login.user_domain,
        "project_domain_name": login.project_domain,
        "region_name": settings.region,
    }


def _authtoken(settings: Settings, service: Service) -> dict[str, str]:
    options = _auth(settings, settings.service_login(service))
    return options | {"www_authenticate_uri": settings.auth_url, "service_type": _type(service)}


def _type(service: Service) -> str:
    return service.endpoint.type


def render(conf: Mapping[str, Mapping[str, str]]) -> str:
    lines = ["# Written by the contract at start; put your own options beside this file."]
    for group in conf:
        if conf[group]:
            lines += ["", f"[{group}]"]
            lines += [f"{name} = {_value(name, value)}" for name, value in conf[group].items()]
    return "\n".join(lines) + "\n"


def _value(name: str, value: str) -> str:
    if "\n" in value:
        raise ContractError(f"the value of {name} has more than one line", "use one line")
    # oslo.config expands $name in values.
    return value.replace("$", "$$")


def clouds(settings: Settings) -> str:
    """clouds.yaml (JSON is YAML, and needs no import)."""
    entries = {
        name: {
            "auth": {
                "auth_url": settings.auth_url,
                "username": login.username,
                "password": login.password,
                "project_name": login.project,
                "user_domain_name": login.user_domain,
                "project_domain_name": login.project_domain,
            },
            "region_name": settings.region,
            "identity_api_version": "3",
        }
        for name, login in (("admin", settings.admin), ("demo", settings.demo))
    }
    return json.dumps({"clouds": entries}, indent=2) + "\n"


def health_login(settings: Settings) -> str:
    """What the health check of a compute, which imports no client, posts to keystone."""
    login = settings.service_login(settings.main)
    user = {
        "name": login.username,
        "password": login.password,
        "domain": {"name": login.user_domain},
    }
    project = {"name": login.project, "domain": {"name": login.project_domain}}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": project},
    }
    return json.dumps({"auth_url": settings.auth_url, "body": {"auth": auth}}) + "\n"


def write_all(settings: Settings, run: Path = RUN) -> None:
    services = {settings.main, *settings.services}
    for service in sorted(services, key=lambda s: s.name):
        path = run / service.name / f"{service.name}.conf"
        write(path, render(sections(settings, service)))
    write(run / settings.role.run / "clouds.yaml", clouds(settings))
    if "nova-compute" in settings.role.programs:
        if settings.role.serves_api:
            write_compute_conf(settings)
        write(run / settings.main.name / "health-login.json", health_login(settings))


def write_compute_conf(settings: Settings) -> None:
    COMPUTE_CONF.mkdir(exist_ok=True)
    for path in OWN_CONF.glob("*.conf"):
        if path.name != CONTRACT_CONF:
            write(COMPUTE_CONF / path.name, path.read_text(encoding="utf-8"))
    conf = sections(settings, settings.main)
    without = {group: conf[group] for group in conf if group not in ("database", "api_database")}
    write(COMPUTE_CONF / CONTRACT_CONF, render(without))


def write(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only: it holds passwords."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        raise ContractError(
            f"cannot write {path}: {error.strerror}",
            f"{path.parent} must be a volume or tmpfs that user id {os.getuid()} can write to",
        ) from error
