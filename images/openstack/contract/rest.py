"""keystone, and the services in its catalog, over HTTP.

keystoneauth does more than that, and its import takes longer than all that is asked here.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from contract.health import request
from contract.settings import Login
from contract.wait import NotYetError, reason

TIMEOUT = 30
TRIES = 6
PAUSE = 0.5
PASSING = (502, 503)


class AnswerError(Exception):
    """A service answers with an error: its status, and its words."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(_words(content) or f"status {status}")
        self.status = status


def _words(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""


class Client:
    """The requests of one login; the first one gets a token."""

    def __init__(self, auth_url: str, login: Login) -> None:
        self.auth_url = auth_url
        self.login = login
        self.token = ""
        self.catalog: list[dict[str, Any]] = []
        self.domain: dict[str, str] = {}

    def authenticate(self, scoped: bool = True) -> None:
        """Raises AnswerError, with status 401 when the password is wrong."""
        body, kind = _json(_credentials(self.login, scoped))
        url = f"{self.auth_url}/auth/tokens"
        status, content, headers = request("POST", url, body, kind, TIMEOUT)
        if status != 201:
            raise AnswerError(status, content)
        self.token = headers["x-subject-token"]
        token = json.loads(content)["token"]
        self.catalog = token.get("catalog", [])
        self.domain = token["user"]["domain"]

    def regions(self) -> set[str]:
        """Those that the catalog names."""
        return {str(entry["region_id"]) for each in self.catalog for entry in each["endpoints"]}

    def endpoint(self, service_type: str, interface: str = "internal") -> str:
        """Raises NotYetError where the catalog has none; the next call asks for a new one."""
        if not self.token:
            try:
                self.authenticate()
            except (AnswerError, OSError, http.client.HTTPException) as error:
                raise NotYetError(f"keystone: {reason(error)}") from error
        for service in self.catalog:
            for entry in service["endpoints"]:
                if (service["type"], entry["interface"]) == (service_type, interface):
                    return str(entry["url"]).rstrip("/")
        self.token = ""
        raise NotYetError(f"keystone's catalog has no {service_type} service yet")

    def get(self, url: str, **query: str) -> Any:
        return self.send("GET", f"{url}?{urlencode(query)}" if query else url)

    def send(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """What the answer's JSON says; bytes are sent as they are. Raises AnswerError.

        ``url`` may be a path of keystone's. A POST is not sent again when its answer is lost, as
        that would make two of a kind: it raises NotYetError, and the next start finds the first.
        """
        target = f"{self.auth_url}{url}" if url.startswith("/") else url
        for left in reversed(range(TRIES)):
            try:
                return self._send(method, target, body, headers or {})
            except (OSError, http.client.HTTPException) as error:
                lost = method == "POST" and not isinstance(error, ConnectionRefusedError)
                if lost or not left:
                    raise NotYetError(f"{target}: {error}") from error
            except AnswerError as error:
                # A token may have been revoked, or keystone have new keys.
                if not left or error.status not in (*PASSING, *([401] if self.token else [])):
                    raise
                self.token = ""
            time.sleep(PAUSE)
        raise AssertionError("the last try returns or raises")

    def _send(self, method: str, url: str, body: Any, more: Mapping[str, str]) -> Any:
        if not self.token:
            self.authenticate()
        content, headers = _json(body)
        headers |= {"X-Auth-Token": self.token, **more}
        status, answer, _ = request(method, url, content, headers, TIMEOUT)
        if status >= 400:
            raise AnswerError(status, answer)
        return json.loads(answer) if answer else None


def _json(body: Any) -> tuple[str | bytes | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, bytes):
        return body, {"Content-Type": "application/octet-stream"}
    return json.dumps(body), {"Content-Type": "application/json"}


def _credentials(login: Login, scoped: bool) -> dict[str, Any]:
    user = {
        "name": login.username,
        "password": login.password,
        "domain": {"name": login.user_domain},
    }
    project = {"name": login.project, "domain": {"name": login.project_domain}}
    scope = {"project": project} if scoped else "unscoped"
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": scope}}
