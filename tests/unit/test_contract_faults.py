"""Faults of APIs: which requests meet a rule, how often, and what they get."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from contract import faults, gate
from contract.errors import ContractError
from contract.faults import command, inject
from contract.faults.callers import Network, is_service
from contract.faults.rules import Rule, parse
from contract.faults.store import Store
from contract.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# /proc/net/route of a container in 172.18.0.0/16.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
PROJECT = "0123456789abcdef0123456789abcdef"


def rule(request: str = "POST /servers", **more: Any) -> Rule:
    return parse({"service": "nova", "request": request, **({"status": 500} | more)})


@pytest.mark.parametrize(
    ("request_", "method", "path", "matches"),
    [
        ("POST /servers", "POST", "/v2.1/servers", True),
        ("POST /servers", "POST", "/servers", True),
        ("POST /servers", "POST", "/v2.1/servers/", True),
        ("POST /servers", "POST", f"/v2/{PROJECT}/servers", True),
        ("post /servers/", "POST", "/v2.1/servers", True),
        ("POST /v2.1/servers", "POST", "/v2.1/servers", True),
        ("POST /v2.1/servers", "POST", "/v2/servers", False),
        ("POST /servers", "GET", "/v2.1/servers", False),
        ("POST /servers", "POST", "/v2.1/servers/1/action", False),
        ("POST /servers", "POST", "/v2.1/os-servers", False),
        ("GET /servers/*", "GET", "/v2.1/servers/detail", True),
        ("GET /servers/*", "GET", "/v2.1/servers/1/ips", False),
        ("GET /servers/**", "GET", "/v2.1/servers/1/ips", True),
        ("PUT /servers/*/tags/*", "PUT", "/v2.1/servers/1/tags/a", True),
        ("* /auth/tokens", "POST", "/v3/auth/tokens", True),
        ("* /**", "DELETE", "/", True),
        ("GET /a.c", "GET", "/v3/abc", False),
        ("GET /", "GET", "/v2.1", True),
    ],
)
def test_which_requests_match(request_: str, method: str, path: str, matches: bool) -> None:
    assert rule(request_).matches(method, path) == matches


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"request": "SEND /servers"}, "'SEND /servers': SEND is no method"),
        ({"request": "/servers"}, "'/servers': /SERVERS is no method"),
        ({"request": "POST servers"}, "'POST servers': servers is no path"),
        ({"request": "GET /servers?limit=1"}, "'GET /servers?limit=1': /servers?limit=1 is no"),
        ({"status": 399}, "status is 399"),
        ({"status": 600}, "status is 600"),
        ({"status": True}, "status is True"),
        ({"status": "500"}, "status is '500'"),
        ({"times": 0}, "times is 0"),
        ({"retry_after": -1}, "retry_after is -1"),
        ({"delay": -1}, "delay is -1"),
        ({"delay": "5"}, "delay is '5'"),
        ({"after": 1}, "after is 1"),
        ({"callers": "nobody"}, "callers is 'nobody'"),
        ({"drop": True}, "POST /servers: both drop and a status 500"),
        ({"status": None, "drop": True, "retry_after": 1}, "retry_after without a status"),
        ({"status": None}, "POST /servers: a fault that does nothing"),
        ({"statsu": 500}, "a fault has no 'statsu'"),
        ({"service": None}, "a fault needs a service"),
    ],
)
def test_a_mistake_in_a_rule(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse({"service": "nova", "request": "POST /servers", "status": 500, **data})
    assert message in caught.value.message
    assert caught.value.hint


def test_a_container_has_faults_of_its_own_apis_only() -> None:
    text = json.dumps({"service": "glance", "request": "GET /images", "status": 500})
    with pytest.raises(ContractError, match="this container serves no API of glance") as caught:
        command.checked(text, ["nova", "placement"])
    assert caught.value.hint == "it serves: nova, placement"
    assert command.checked(text, ["glance"]).status == 500


# --- how often


def test_as_many_requests_as_the_rule_says_however_many_come_at_once(tmp_path: Path) -> None:
    made = Store(tmp_path).add(rule(times=100))
    stores = [Store(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: stores[n % 8].take(made), range(400)))
    assert taken.count(True) == 100
    assert Store(tmp_path).taken(made) == 100


def test_who_reads_the_rules_sees_each_change(tmp_path: Path) -> None:
    worker, store = Store(tmp_path), Store(tmp_path)
    assert worker.rules() == []
    first = store.add(rule())
    second = store.add(parse({"service": "glance", "request": "GET /images", "drop": True}))
    assert [each.id for each in worker.rules()] == [first.id, second.id]
    assert store.clear(["glance"]) == [second]
    assert [each.id for each in worker.rules()] == [first.id]
    assert store.clear() == [first]
    assert worker.rules() == []
    assert not worker.take(first), "a request that has begun before"
    assert store.clear() == []


def test_a_start_removes_the_rules(tmp_path: Path) -> None:
    store = Store(tmp_path / gate.FAULTS)
    store.add(rule())
    gate.close(tmp_path)
    assert store.rules() == []
    assert list(tmp_path.iterdir()) == []


# --- who asks


@pytest.mark.parametrize(
    ("address", "more", "service"),
    [
        ("172.18.0.1", {}, False),
        ("172.18.0.7", {}, True),
        ("127.0.0.1", {}, True),
        ("192.0.2.7", {}, False),
        ("::1", {}, True),
        ("172.18.0.1", {"HTTP_X_SERVICE_TOKEN": "t"}, True),
        ("127.0.0.1", {"HTTP_USER_AGENT": "openstacksdk/4.0.0 keystoneauth1/5.6"}, False),
        ("172.18.0.7", {"HTTP_USER_AGENT": "nova-compute keystoneauth1/5.6"}, True),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "172.18.0.1, 127.0.0.1"}, False),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "172.18.0.7"}, True),
    ],
)
def test_who_is_a_service(address: str, more: dict[str, str], service: bool) -> None:
    network = Network(ROUTES.splitlines())
    assert is_service({"REMOTE_ADDR": address, **more}, network) == service


# --- what they get


class Api:
    """An API behind its faults, which counts what it is asked."""

    def __init__(self, directory: Path, service: str = "nova") -> None:
        self.asked = 0
        self.store = Store(directory / gate.FAULTS)
        self.service = SERVICES[service]
        self.application = faults.before(self.service, self._serve)

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        self.asked += 1
        start("202 Accepted", [("X-Openstack-Request-Id", "req-own")])
        return [b"do", b"ne"]

    def ask(self, method: str = "POST", **more: Any) -> tuple[int, dict[str, str], bytes]:
        self.sent = io.BytesIO(b"x" * 200_000)
        given = {"REQUEST_METHOD": method, "PATH_INFO": "/v2.1/servers", "wsgi.input": self.sent}
        begun: list[tuple[str, dict[str, str]]] = []
        parts = self.application(
            {**given, "REMOTE_ADDR": "192.0.2.7", **more},
            lambda status, headers: begun.append((status, dict(headers))),
        )
        ((status, headers),) = begun
        return int(status.split()[0]), headers, b"".join(parts)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv(gate.VARIABLE, str(tmp_path))
    monkeypatch.setattr(Network, "here", lambda: Network(ROUTES.splitlines()))
    return Api(tmp_path)


def test_without_a_rule_the_service_answers(api: Api) -> None:
    assert api.ask() == (202, {"X-Openstack-Request-Id": "req-own"}, b"done")


def test_an_error_in_place_of_the_service(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    made = api.store.add(rule(times=1))
    code, headers, body = api.ask()
    assert (code, api.asked) == (500, 0)
    assert not api.sent.read(), "what is not read resets the connection"
    assert headers["x-openstack-request-id"].startswith("req-")
    assert "Retry-After" not in headers
    assert int(headers["Content-Length"]) == len(body)
    assert json.loads(body)["computeFault"]["code"] == 500
    assert f"POST /v2.1/servers meets the fault {made.id}" in capsys.readouterr().err
    assert api.ask()[0] == 202


def test_an_error_after_the_service_has_done_it(api: Api) -> None:
    api.store.add(rule(after=True))
    code, headers, _ = api.ask()
    assert (code, api.asked) == (500, 1)
    assert headers["x-openstack-request-id"] == "req-own"


@pytest.mark.parametrize(("more", "seconds"), [({}, "1"), ({"retry_after": 7}, "7")])
@pytest.mark.parametrize("status", [429, 503])
def test_when_to_come_back(api: Api, status: int, more: dict[str, Any], seconds: str) -> None:
    api.store.add(rule(status=status, **more))
    assert api.ask()[1]["Retry-After"] == seconds


@pytest.mark.parametrize("after", [False, True])
def test_a_delay(api: Api, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[tuple[float, int]] = []
    monkeypatch.setattr("time.sleep", lambda seconds: waited.append((seconds, api.asked)))
    api.store.add(rule(status=None, delay=2.5, after=after))
    assert api.ask() == (202, {"X-Openstack-Request-Id": "req-own"}, b"done")
    assert waited == [(2.5, int(after))]
    assert api.asked == 1


def test_rules_of_others_do_nothing(api: Api) -> None:
    api.store.add(parse({"service": "glance", "request": "* /**", "status": 500}))
    api.store.add(rule(callers="services"))
    assert api.ask()[0] == 202
    assert api.ask(HTTP_X_SERVICE_TOKEN="token")[0] == 500


def test_rules_follow_each_other(api: Api) -> None:
    for status in (503, 500):
        api.store.add(rule(status=status, times=1))
    assert [api.ask()[0] for _ in range(3)] == [503, 500, 202]


def test_the_answer_to_head_has_no_body(api: Api) -> None:
    api.store.add(rule("HEAD /servers"))
    code, headers, body = api.ask("HEAD")
    assert (code, headers["Content-Length"], body) == (500, "0", b"")


@pytest.mark.parametrize(
    ("service", "code", "expected"),
    [
        ("nova", 404, {"itemNotFound": {"code": 404, "message": "{}"}}),
        ("nova", 599, {"computeFault": {"code": 599, "message": "{}"}}),
        ("keystone", 403, {"error": {"code": 403, "title": "Forbidden", "message": "{}"}}),
        ("neutron", 409, {"NeutronError": {"type": "Conflict", "message": "{}", "detail": ""}}),
        (
            "placement",
            409,
            {
                "errors": [
                    {
                        "status": 409,
                        "title": "Conflict",
                        "detail": "{}",
                        "code": "placement.undefined_code",
                        "request_id": "req-1",
                    }
                ]
            },
        ),
    ],
)
def test_an_error_looks_like_one_of_the_service(service: str, code: int, expected: Any) -> None:
    message = f"An injected fault: {code} {inject.title(code)}."
    found = inject.error_body(SERVICES[service].errors, code, "req-1")
    assert json.dumps(found) == json.dumps(expected).replace("{}", message)


def test_glance_answers_in_html() -> None:
    found = inject.error_body(SERVICES["glance"].errors, 404, "req-1")
    assert "<title>404 Not Found</title>" in found
