"""The application that uwsgi serves: a service's own, with a health check in front.

Names of modules differ between releases, so the first that exists is taken.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from contract import gate, messaging
from contract.imports import late, without_collecting

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
HEALTH_PATH = "/-/health"
# service: (module, attribute, called to make the application), newest first
APPLICATIONS = {
    "keystone": (("contract.identity", "application", True),),
    "glance": (("glance.common.wsgi_app", "init_app", True),),
    "placement": (("placement.wsgi", "init_application", True),),
    "nova": (
        ("nova.wsgi.osapi_compute", "application", False),
        ("nova.api.openstack.compute.wsgi", "init_application", True),
    ),
    "neutron": (
        ("neutron.wsgi.api", "application", False),
        ("contract.neutron_api", "application", True),
    ),
}
# What to import while waiting at the gate: nothing that reads configuration or data.
PRELOAD = {
    "keystone": ("keystone.server.flask.core", "keystone.cmd.bootstrap"),
    "nova": ("nova.api.openstack.compute",),
    "neutron": ("neutron.plugins.ml2.plugin",),
}
# The services parse their command line.
ARGV = {
    "keystone": "keystone",
    "glance": "glance-api",
    "placement": "placement-api",
    "nova": "nova-api",
    "neutron": "neutron-server",
}


def find(service: str) -> tuple[str, str, bool]:
    for module, attribute, factory in APPLICATIONS[service]:
        if _exists(module):
            return module, attribute, factory
    raise ImportError(f"no WSGI application of {service} in this release")


def _exists(module: str) -> bool:
    """Look for the file: to import nova's or neutron's parents patches the interpreter."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return False
    base = os.path.join(spec.submodule_search_locations[0], *rest)
    return os.path.exists(f"{base}.py") or os.path.exists(os.path.join(base, "__init__.py"))


def load(service: str) -> Wsgi:
    sys.argv = [ARGV[service]]
    # Some import eventlet, which none of them runs on, and with it all of dnspython.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    module, attribute, factory = find(service)
    if service == "nova":
        _choose_threads()
    late()
    names = [*PRELOAD.get(service, ()), *([module] if factory else [])]
    with without_collecting():
        for name in names:
            importlib.import_module(name)
    gate.pass_through(f"{service}-api")
    with without_collecting():
        return _make(service, module, attribute, factory)


def _make(service: str, module: str, attribute: str, factory: bool) -> Wsgi:
    if service == "nova":
        messaging.shorten_waits()
    found = getattr(importlib.import_module(module), attribute)
    application: Wsgi = found() if factory else found
    if service == "neutron":
        _configure_mappers()
    _load_policy(service)
    if "jsonschema" in sys.modules:
        _load_vocabularies()
    return application


def _choose_threads() -> None:
    """From 2026.1 on, and before the first import of nova, which would choose eventlet."""
    from nova import monkey_patch

    patch = getattr(monkey_patch, "patch", None)
    if patch and "backend" in inspect.signature(patch).parameters:
        patch(backend="threading")


def _configure_mappers() -> None:
    """Without it the first request may find models that are not yet joined, and be a 500."""
    from sqlalchemy.orm import configure_mappers

    configure_mappers()


def _load_policy(service: str) -> None:
    """Left to the first request, a second one at that moment finds no rule yet, and is a 403."""
    if service in ("nova", "neutron"):
        importlib.import_module(f"{service}.policy").init()
    if service == "keystone":
        from keystone.common.rbac_enforcer.enforcer import RBACEnforcer

        # As it does itself within a request.
        RBACEnforcer.suppress_deprecation_warnings = True
        _ = RBACEnforcer()._enforcer


def _load_vocabularies() -> None:
    """jsonschema before 4.18 reads them at its first use, which two threads must not be at once."""
    from jsonschema import Draft7Validator

    Draft7Validator({})


def with_health(service: str, application: Wsgi) -> Wsgi:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        local = environ.get("REMOTE_ADDR") == "127.0.0.1"
        if local and environ.get("PATH_INFO") == HEALTH_PATH:
            return _health(service, start_response)
        return application(environ, start_response)

    return serve


def _health(service: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    from contract import vitals

    problem = vitals.problem(service)
    status = "503 Service Unavailable" if problem else "200 OK"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{problem or 'ok'}\n".encode()]


if "CONTRACT_APP" in os.environ:
    application = with_health(os.environ["CONTRACT_APP"], load(os.environ["CONTRACT_APP"]))
