"""nova's options that depend on the container, and the files of its computes."""

from __future__ import annotations

import json
from pathlib import Path

from contract import config
from contract.config import RUN, Sections
from contract.services import SERVICES, Service
from contract.settings import Settings

from nova_runtime.health import COMPUTE

# Beside an API, computes have options of their own: one that sees its databases would use them.
COMPUTE_CONF = RUN / "nova" / "compute.conf.d"
OWN_CONF = Path("/etc/nova/nova.conf.d")
# The reports of more computes than these are most of what the control plane has to do.
FEW_COMPUTES = 10
# A compute unknown to the scheduler costs one extra query per new server.
FOR_MANY = {
    "report_interval": "10",
    "update_resources_interval": "120",
    "scheduler_instance_sync_interval": "60",
}


def options(settings: Settings, service: Service) -> Sections:
    """The compute's driver, and where nova finds other services."""
    conf: Sections = {"DEFAULT": {}}
    if driver := settings.env.given("COMPUTE_DRIVER"):
        conf["DEFAULT"]["compute_driver"] = driver
    if int(settings.env.given("COMPUTES") or 1) > FEW_COMPUTES:
        conf["DEFAULT"] |= FOR_MANY
    for group in ("placement", "neutron", "cinder", "service_user"):
        conf[group] = config.auth(settings, settings.service_login(service))
    conf["cinder"]["os_region_name"] = settings.region
    for group, url in endpoint_overrides(settings).items():
        conf.setdefault(group, {})["endpoint_override"] = url
    return conf


def endpoint_overrides(settings: Settings) -> dict[str, str]:
    """Fixed addresses: those that the user names, and those behind a legacy link.

    A link's host name follows the container when its address changes; the catalog of a
    linked cloud holds addresses and is corrected only when that container starts again.
    """
    env = settings.env
    urls: dict[str, str] = {}
    own = {service.name: service.endpoint.port for service in settings.services}
    if "glance" in own:
        urls["glance"] = f"http://127.0.0.1:{own['glance']}"
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


def write_files(settings: Settings) -> None:
    """For the container's computes, where it has any."""
    if COMPUTE not in settings.role.programs:
        return
    if settings.role.serves_api:
        write_compute_conf(settings)
    config.write(RUN / "nova" / "health-login.json", health_login(settings))


def health_login(settings: Settings) -> str:
    """What the health check of a compute, which imports no client, posts to keystone."""
    login = settings.service_login(SERVICES["nova"])
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


def write_compute_conf(settings: Settings) -> None:
    COMPUTE_CONF.mkdir(exist_ok=True)
    for path in OWN_CONF.glob("*.conf"):
        if path.name != config.CONTRACT_CONF:
            config.write(COMPUTE_CONF / path.name, path.read_text(encoding="utf-8"))
    conf = config.sections(settings, SERVICES["nova"])
    without = {group: conf[group] for group in conf if group not in ("database", "api_database")}
    config.write(COMPUTE_CONF / config.CONTRACT_CONF, config.render(without))
