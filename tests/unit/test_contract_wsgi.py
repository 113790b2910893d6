"""What stands before a service's own application: an answer to all, and no server too early."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from contract import answers, wsgi
from nova_runtime.patches import bootable

Start = Callable[..., Any]


class Answer:
    """What a server is told of an answer."""

    def __init__(self, application: answers.Wsgi, **environ: Any) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        given = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ}
        parts = application(given, self._start)
        self.body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()

    def _start(self, status: str, headers: list[tuple[str, str]], error: object = None) -> None:
        assert error or not self.status, "an answer begins once"
        self.status, self.headers = status, dict(headers)


def fails(_environ: dict[str, Any], _start: Start) -> Iterable[bytes]:
    raise KeyError("encrypted_blob")


def fails_in_its_body(_environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Length", "3")])
    raise ValueError("no such file")
    yield b"abc"


@pytest.mark.parametrize("application", [fails, fails_in_its_body])
def test_an_exception_is_status_500_with_the_id_of_the_request(application: answers.Wsgi) -> None:
    answer = Answer(answers.always(application), **{answers.REQUEST_ID: "req-1"})
    assert answer.status == "500 Internal Server Error"
    assert answer.headers["x-openstack-request-id"] == "req-1"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    error = json.loads(answer.body)["error"]
    assert error["code"] == 500
    assert "req-1" in error["message"]
    assert "encrypted_blob" not in error["message"]


def test_a_request_without_an_id_gets_one() -> None:
    answer = Answer(answers.always(fails))
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_a_body_is_passed_on_and_closed() -> None:
    closed = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            yield from (b"a", b"b", b"c")

        def close(self) -> None:
            closed.append(True)

    def serve(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        return Parts()

    assert Answer(answers.always(serve)).body == b"abc"
    assert closed


def ok(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("202 Accepted", [])
    return [b""]


@pytest.mark.parametrize(
    "path", ["/v2.1/servers", "/v2/servers", "/v2.1/0123abc/servers", "/v2.1/os-volumes_boot"]
)
def test_a_server_is_refused_until_a_compute_is_up(path: str) -> None:
    up = iter((False, True))
    application = bootable.only_when(ok, lambda: next(up))
    answer = Answer(application, REQUEST_METHOD="POST", PATH_INFO=path)
    assert answer.status.startswith("503")
    assert answer.headers["Retry-After"]
    assert "No compute" in json.loads(answer.body)["computeFault"]["message"]
    assert Answer(application, REQUEST_METHOD="POST", PATH_INFO=path).status == "202 Accepted"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2.1/servers"),
        ("POST", "/v2.1/servers/id/action"),
        ("POST", "/v2.1/os-keypairs"),
        ("POST", "/v2.1/flavors"),
    ],
)
def test_all_else_needs_no_compute(method: str, path: str) -> None:
    application = bootable.only_when(ok, lambda: False)
    answer = Answer(application, REQUEST_METHOD=method, PATH_INFO=path)
    assert answer.status == "202 Accepted"


@pytest.mark.parametrize(
    ("module", "there"),
    [("json", True), ("json.decoder", True), ("socket", True), ("no_such", False),
     ("json.no_such", False), ("no_such.wsgi", False), ("socket.no_such", False)],
)  # fmt: skip
def test_an_application_is_looked_for_and_not_imported(module: str, there: bool) -> None:
    assert wsgi._exists(module) == there
