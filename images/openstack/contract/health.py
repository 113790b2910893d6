"""The HEALTHCHECK of an image. Run every few seconds in every container, so it imports
nothing of OpenStack and nothing from site-packages but this: python3 -I -S health.py ROLE
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
from urllib.parse import urlsplit

TIMEOUT = 8
# For all that one check asks; the engine's own limit has room for what is still being prepared.
LIMIT = 10


class UnhealthyError(Exception):
    """Why the container is not healthy."""


def main(role: str) -> int:
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT)
    if problem := sickness(role):
        print(problem)
        return 1
    print("ok")
    return 0


def give_up(*_: object) -> None:
    print(f"no answer within {LIMIT} s")
    sys.exit(1)


def sickness(role: str, fresh: bool = False) -> str:
    """What is wrong; empty when nothing is. A ``fresh`` container may not serve all it is for."""
    try:
        check(role, fresh)
    except UnhealthyError as error:
        return str(error)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def check(role_name: str, fresh: bool) -> None:
    from contract import runtime
    from contract.services import ROLES

    role = ROLES[role_name]
    for service in role.embedded:
        if not os.environ.get(f"{service.variable}_URL"):
            api(service.endpoint.port)
    if role.serves_api:
        api(role.main.endpoint.port)
    for service in (*role.embedded, role.main):
        if service.programs.keys() & set(role.programs):
            runtime.call(service, "sickness", role_name, fresh)


def api(port: int) -> None:
    status, body, _ = request("GET", f"http://127.0.0.1:{port}/-/health")
    if status != 200:
        raise UnhealthyError(f"port {port}: {body.decode('utf-8', 'replace').strip()}")


def request(
    method: str,
    url: str,
    body: str | bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, bytes, dict[str, str]]:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, content, {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(__file__)))
    # By its own name, under which the services' steps know it.
    from contract import health

    sys.exit(health.main(sys.argv[1]))
