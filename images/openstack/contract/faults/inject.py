"""A request meets a fault: it is answered with an error, late, or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from contract.answers import REQUEST_ID, Wsgi
from contract.console import say
from contract.faults.callers import Network, is_service
from contract.faults.rules import ALL, SERVICES, Rule
from contract.faults.store import Store
from contract.services import Service

ID_HEADER = "x-openstack-request-id"
CHUNK = 65536
Start = Callable[..., Any]


class Injector:
    """The faults of an API, in one of its processes."""

    def __init__(self, service: Service, store: Store, application: Wsgi) -> None:
        self._service = service
        self._store = store
        self._application = application
        self._network = Network.here()

    def serve(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        rule = self._met(environ)
        if rule is None:
            return self._application(environ, start_response)
        say(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} meets the fault {rule.id}")
        done = perform(self._application, environ) if rule.after else None
        time.sleep(rule.delay)
        if rule.drop:
            return drop(environ, done)
        if rule.status is None:
            return done.send(start_response) if done else self._application(environ, start_response)
        if done is None:
            drain(environ)
        return fail(self._service, rule, environ, done).send(start_response)

    def _met(self, environ: dict[str, Any]) -> Rule | None:
        """The first rule that the request meets."""
        method, path = environ["REQUEST_METHOD"], str(environ.get("PATH_INFO"))
        for rule in self._store.rules():
            if (
                rule.service == self._service.name
                and rule.matches(method, path)
                and self._is_from(rule.callers, environ)
                and self._store.take(rule)
            ):
                return rule
        return None

    def _is_from(self, callers: str, environ: dict[str, Any]) -> bool:
        return callers == ALL or is_service(environ, self._network) == (callers == SERVICES)


@dataclass
class Answer:
    """A whole answer, which is not sent yet."""

    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)

    def start(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        self.status, self.headers = status, list(headers)
        return self.body.append

    def send(self, start_response: Start) -> list[bytes]:
        start_response(self.status, self.headers)
        return self.body


def perform(application: Wsgi, environ: dict[str, Any]) -> Answer:
    """Let the application do what is asked; its answer is kept."""
    answer = Answer()
    parts = application(environ, answer.start)
    try:
        answer.body.extend(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return answer


def drop(environ: dict[str, Any], done: Answer | None) -> list[bytes]:
    """Close the connection without an answer."""
    import uwsgi

    if done is None:
        drain(environ)
    uwsgi.disconnect()
    return []


def drain(environ: dict[str, Any]) -> None:
    """Read what the client sends: else the kernel resets its connection, and it may not read the
    answer.
    """
    if str(environ.get("HTTP_TRANSFER_ENCODING", "")).lower() == "chunked":
        import uwsgi

        while uwsgi.chunked_read():
            pass
        return
    while environ["wsgi.input"].read(CHUNK):
        pass


def fail(service: Service, rule: Rule, environ: dict[str, Any], done: Answer | None) -> Answer:
    """An error that looks like one of the service."""
    code = rule.status or 0
    request = request_id(environ, done)
    headers = [(ID_HEADER, request)]
    if rule.comes_back is not None:
        headers.append(("Retry-After", str(rule.comes_back)))
    content = error_body(service.errors, code, request)
    kind = "text/html; charset=UTF-8" if isinstance(content, str) else "application/json"
    text = content if isinstance(content, str) else json.dumps(content)
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else text.encode()
    headers += [("Content-Type", kind), ("Content-Length", str(len(body)))]
    return Answer(f"{code} {title(code)}", headers, [body])


def request_id(environ: dict[str, Any], done: Answer | None) -> str:
    """That of the service's own answer, so that its log has it."""
    own = {name.lower(): value for name, value in done.headers} if done else {}
    return str(own.get(ID_HEADER) or environ.get(REQUEST_ID) or f"req-{uuid4()}")


def title(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


def error_body(errors: Mapping[str, Any], code: int, request: str) -> Any:
    """The service's form of an error, filled in."""
    words = {
        "code": str(code),
        "title": title(code),
        "message": f"An injected fault: {code} {title(code)}.",
        "name": errors["names"].get(str(code), errors["name"]),
        "request_id": request,
    }
    return fill(errors["body"], words)


def fill(form: Any, words: dict[str, str]) -> Any:
    """The form with the words in their places; ``{code}`` by itself is a number."""
    if isinstance(form, dict):
        return {fill(key, words): fill(value, words) for key, value in form.items()}
    if isinstance(form, list):
        return [fill(each, words) for each in form]
    if not isinstance(form, str):
        return form
    if form == "{code}":
        return int(words["code"])
    for name, word in words.items():
        form = form.replace(f"{{{name}}}", word)
    return form
