"""The rules of faults: checked when they are made, and matched with requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from contract.errors import ContractError

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*")
CLIENTS, SERVICES, ALL = "clients", "services", "all"
CALLERS = (CLIENTS, SERVICES, ALL)
LEAST_STATUS, MOST_STATUS = 400, 599
MOST_DELAY = 600
# Statuses with which a server says when to come back, and the seconds unless the rule says more.
COME_BACK = {429: 1, 503: 1}
# An API's version and a project's id, which some URLs have before the path of the reference.
ROOT = r"(?:/v\d+(?:\.\d+)?(?:/[0-9a-f]{32})?)?"
EXAMPLE = "such as 'POST /servers' or 'GET /servers/*'"


@dataclass(frozen=True)
class Rule:
    """A fault, and the requests that meet it; ``times`` of them, or all."""

    service: str
    request: str
    status: int | None = None
    times: int | None = None
    after: bool = False
    retry_after: int | None = None
    delay: float = 0
    drop: bool = False
    callers: str = CLIENTS
    id: str = field(default="", compare=False)

    @cached_property
    def _method(self) -> str:
        return self.request.split()[0]

    @cached_property
    def _path(self) -> re.Pattern[str]:
        return re.compile(ROOT + _regex(self.request.split()[1].rstrip("/")) + "/?")

    def matches(self, method: str, path: str) -> bool:
        """Whether a request of that method and path is one of the rule's."""
        return self._method in (method, "*") and bool(self._path.fullmatch(path))

    @property
    def comes_back(self) -> int | None:
        """Seconds of the header Retry-After; without it None."""
        return self.retry_after if self.retry_after is not None else COME_BACK.get(self.status or 0)

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def _regex(path: str) -> str:
    """``*`` is any text without a slash, ``**`` is any text."""
    words = {"**": ".*", "*": "[^/]*"}
    return "".join(words.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", path))


def parse(data: Mapping[str, Any]) -> Rule:
    """A checked rule; raises ``ContractError``."""
    known = {each.name for each in fields(Rule)}
    for name in data:
        if name not in known:
            raise ContractError(f"a fault has no {name!r}", f"known: {', '.join(sorted(known))}")
    given = {name: value for name, value in data.items() if value is not None}
    for name in ("service", "request"):
        if not isinstance(given.get(name), str):
            raise ContractError(
                f"a fault needs a {name}", f"name a service and a request {EXAMPLE}"
            )
    given["request"] = _request(given["request"])
    rule = Rule(**given)
    _check_numbers(rule)
    _check_choices(rule)
    return rule


def _request(text: str) -> str:
    method, _, path = text.strip().partition(" ")
    method, path = method.upper(), path.strip()
    if method not in METHODS:
        raise ContractError(
            f"{text!r}: {method or 'nothing'} is no method",
            f"write a method and a path, {EXAMPLE}; methods: {', '.join(METHODS)}",
        )
    if not re.fullmatch(r"/[^\s?#]*", path):
        raise ContractError(
            f"{text!r}: {path or 'nothing'} is no path",
            f"write a method and a path below the API's root, {EXAMPLE}, without a query",
        )
    return f"{method} {path}"


def _check_numbers(rule: Rule) -> None:
    limits = {
        "status": (rule.status, LEAST_STATUS, MOST_STATUS),
        "times": (rule.times, 1, 10**6),
        "retry_after": (rule.retry_after, 0, 86400),
    }
    for name, (value, least, most) in limits.items():
        if value is not None and not (_is_whole(value) and least <= value <= most):
            raise ContractError(f"{name} is {value!r}", f"a number from {least} to {most}")
    is_number = isinstance(rule.delay, (int, float)) and not isinstance(rule.delay, bool)
    if not (is_number and 0 <= rule.delay <= MOST_DELAY):
        raise ContractError(f"delay is {rule.delay!r}", f"seconds, from 0 to {MOST_DELAY}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_choices(rule: Rule) -> None:
    for name in ("after", "drop"):
        if not isinstance(getattr(rule, name), bool):
            raise ContractError(f"{name} is {getattr(rule, name)!r}", "true or false")
    if rule.callers not in CALLERS:
        raise ContractError(f"callers is {rule.callers!r}", f"one of: {', '.join(CALLERS)}")
    if rule.drop and rule.status is not None:
        raise ContractError(
            f"{rule.request}: both drop and a status {rule.status}",
            "a dropped connection has no status: leave one of the two out",
        )
    if rule.retry_after is not None and rule.status is None:
        raise ContractError(
            f"{rule.request}: retry_after without a status", "it is of an answer: give status=429"
        )
    if not (rule.drop or rule.delay or rule.status is not None):
        raise ContractError(
            f"{rule.request}: a fault that does nothing", "give a status, a delay, or drop"
        )
