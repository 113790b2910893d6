"""The order in which nova starts: nothing is accepted before it can be done."""

from __future__ import annotations

from functools import partial

from contract import gate, patches, steps
from contract.rest import AnswerError, Client
from contract.services import SERVICES
from contract.settings import LOOPBACK, Settings
from contract.wait import Deadline, NotYetError, answers

from nova_runtime import cells, computes, reports
from nova_runtime.configuration import endpoint_overrides
from nova_runtime.health import COMPUTE

# conductor and scheduler end when one of these refuses them.
NEEDED = ("keystone", "placement")


def start(settings: Settings, deadline: Deadline) -> None:
    """Its API takes requests when all else does, so that none is lost or in vain."""
    if settings.role.backing:
        cells.ensure(settings)
        if patches.is_left_out("identity"):
            computes.forget(settings)
    before = reports.counts(settings)
    steps.open_apis(settings, settings.services)
    _wait_for_others(settings, deadline)
    own = SERVICES["nova"].programs
    control = [name for name in settings.role.programs if name in own and name != COMPUTE]
    steps.open_gates(settings, *control)
    if COMPUTE in settings.role.programs:
        # A compute that calls before there is a conductor loses ten seconds on its first call.
        deadline.wait("nova-conductor", partial(reports.expect, settings, before, "nova-conductor"))
        steps.open_gates(settings, COMPUTE)
    deadline.wait("nova's programs", partial(reports.expect, settings, before, *control))
    if COMPUTE in settings.role.programs:
        deadline.wait("a compute", partial(reports.expect_compute, settings, before))
    steps.open_gates(settings, gate.serving("nova"))
    _retire(settings, before)


def _wait_for_others(settings: Settings, deadline: Deadline) -> None:
    for service in settings.services:
        if service.name in NEEDED:
            url = f"http://{LOOPBACK}:{service.endpoint.port}/"
            deadline.wait(f"{service.name}'s own API", partial(answers, url))
    if elsewhere := settings.env.given("PLACEMENT_URL"):
        deadline.wait("placement", partial(answers, elsewhere))


def _retire(settings: Settings, before: reports.Counts) -> None:
    """Of the computes of ``aio`` those that it no longer has."""
    known = {host for program, host in before if program == COMPUTE}
    gone = computes.surplus(settings.role.name, known)
    if gone and "rabbitmq" in settings.backing:
        login = settings.service_login(SERVICES["nova"])
        computes.retire(Client(settings.auth_url, login), gone)


def compute(settings: Settings, deadline: Deadline) -> None:
    """For a container of computes alone."""
    from contract import catalog

    steps.message_queue(settings, deadline)
    login = catalog.wait(settings, settings.service_login(SERVICES["nova"]), deadline)
    deadline.wait("placement", lambda: _placement(settings, login), poll=0.5)
    # A compute that calls before there is a conductor loses ten seconds on its first call.
    deadline.wait("nova-conductor", lambda: _conductor(login), poll=0.3)
    steps.open_gates(settings, *settings.role.programs)


def _placement(settings: Settings, login: Client) -> None:
    answers(endpoint_overrides(settings).get("placement") or login.endpoint("placement"))


def _conductor(login: Client) -> None:
    try:
        url = login.endpoint("compute")
        services = login.get(f"{url}/os-services", binary="nova-conductor")["services"]
    except AnswerError as error:
        raise NotYetError(f"nova: {error}") from error
    if not any(entry["state"] == "up" for entry in services):
        raise NotYetError("no conductor is up")
