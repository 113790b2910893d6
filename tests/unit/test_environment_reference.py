"""docs/reference/environment.md names what the runtime reads, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from contract import environment
from contract.services import SERVICES

from builder.catalogue.config import load_catalogue

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_+[A-Z0-9]+)+|COMPUTES|PATCHES")
# Read, and not to be set by a user: what one part of a container tells another.
INNER = {
    "CONTRACT_APP", "CONTRACT_ROLE", "CONTRACT_RUN", "CONTRACT_SERVICES",
    "EVENTLET_NO_GREENDNS", "SOURCE_DATE_EPOCH",
    "OS_NOVA_DISABLE_EVENTLET_PATCHING", "OS_DEFAULT__HOST", "OS_DEFAULT__STATE_PATH",
}  # fmt: skip
# Of a WSGI request
WSGI = {
    "HTTP_HOST", "HTTP_TRANSFER_ENCODING", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR",
    "HTTP_X_SERVICE_USER_NAME", "HTTP_X_USER_NAME", "PATH_INFO", "REMOTE_ADDR", "REQUEST_METHOD",
    "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT",
}  # fmt: skip
# Nothing runs nova, or an optional service, without its own container, and keystone is no user of
# itself.
NOBODYS = {"NOVA_URL", "KEYSTONE_PASS"} | {
    f"{name.upper()}_URL" for name in load_catalogue(ROOT).optional
}
# Named, and read by another program than the runtime.
OTHERS = {
    *("OS_INTERFACE", "OS_CLOUD", "INTERNAL", "ADMIN"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
}


def read_names() -> set[str]:
    """The names by which the runtime asks the environment, those of services spelled out."""
    found: set[str] = set()
    images = ROOT / "images"
    for path in [*images.glob("openstack/contract/**/*.py"), *images.glob("*/*_runtime/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            asks = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if asks and node.func.attr in ("get", "given", "password") and node.args:  # type: ignore[attr-defined]
                found |= spelled(node.args[0])  # type: ignore[attr-defined]
    passwords = {service.user_password for service in SERVICES.values()}
    passwords |= {service.database_password for service in SERVICES.values() if service.schemas}
    endpoints = {
        f"{prefix}{interface}_URL"
        for prefix in ("", *(f"{name.upper()}_" for name in SERVICES))
        for interface in ("PUBLIC", "INTERNAL", "ADMIN")
    }
    return found | set(environment.NUMBERS) | passwords | endpoints


def spelled(argument: ast.expr) -> set[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return {argument.value} if VARIABLE.fullmatch(argument.value) else set()
    if isinstance(argument, ast.JoinedStr) and ast.unparse(argument).endswith("}_URL'"):
        return {f"{name.upper()}_URL" for name in SERVICES}
    return set()


def test_what_the_runtime_reads_is_documented() -> None:
    undocumented = read_names() - INNER - WSGI - NOBODYS - set(VARIABLE.findall(PAGE))
    also = re.findall(r"and each with `(\w+)` or `(\w+)`", PAGE)
    assert also == [("INTERNAL", "ADMIN")]
    assert {n for n in undocumented if not n.endswith(("_INTERNAL_URL", "_ADMIN_URL"))} == set()


def test_what_is_documented_is_read() -> None:
    shown = {name for code in re.findall(r"`([^`]+)`", PAGE) for name in VARIABLE.findall(code)}
    options = {name for name in shown if "__" in name}
    old = set(environment.RENAMED) | set(environment.GONE) | {"OS_TENANT_NAME"}
    defaults = {name for name in shown if name.endswith(("_PASS", "_DBPASS"))}
    assert shown - read_names() - options - old - defaults - OTHERS == set()
