"""The container's environment, read once: secrets from files, legacy names, checks.

Everything here is pure but for reading the `*_FILE` secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contract import patches
from contract.errors import ContractError
from contract.services import IDENTITY, SERVICES
from contract.urls import check_http_url, parse_routes

OSLO = re.compile(r"^OS_[A-Z0-9_]+?__[A-Z0-9_]+$")
# Options of oslo.config whose value is a secret; others may end in _FILE by their own name.
OSLO_SECRET_FILE = re.compile(r"^(OS_[A-Z0-9_]+?__(?:\w*PASSWORD|CONNECTION|TRANSPORT_URL))_FILE$")
OPTION = re.compile(r"([a-z0-9_-]+)\.(\w+)\.(\w+)\s*=\s*(.*)")
SECRET = re.compile(r"^(?:[A-Z]+_(?:DBPASS|PASS)|OS_PASSWORD|(?:\w+_)?PASSWORD)$")

# Of these very images, not of old ones.
OWN_OLD_NAMES = {"API_THREADS": "API_WORKERS"}
RENAMED = {
    "OS_TENANT_NAME": "OS_PROJECT_NAME",
    "OS_TENANT_ID": "OS_PROJECT_ID",
    "MYSQL_ENV_MYSQL_ROOT_PASSWORD": "MYSQL_ROOT_PASSWORD",
    "MARIADB_ROOT_PASSWORD": "MYSQL_ROOT_PASSWORD",
    "RABBITMQ_ENV_RABBITMQ_DEFAULT_USER": "RABBIT_USER",
    "RABBITMQ_ENV_RABBITMQ_DEFAULT_PASS": "RABBIT_PASS",
    "RABBIT_USERID": "RABBIT_USER",
    "RABBIT_PASSWORD": "RABBIT_PASS",
    "RABBITMQ_HOST": "RABBIT_HOST",
    "MYSQL_HOST": "DB_HOST",
    **OWN_OLD_NAMES,
}

# Endpoints, and where a service that could run in this container is.
URL_NAMES = tuple(
    f"{service}{interface}URL"
    for service in ("", *(f"{service.variable}_" for service in SERVICES.values()))
    for interface in ("PUBLIC_", "INTERNAL_", "ADMIN_", *([""] if service else []))
)
# Names that no service understands any more; the value would mislead whoever set it.
GONE = ("OS_SERVICE_TOKEN", "OS_SERVICE_ENDPOINT", "SERVICE_TOKEN", "SERVICE_ENDPOINT")


@dataclass(frozen=True)
class Number:
    """A variable that is a whole number: its limits, and its meaning for the error message."""

    least: int
    most: int
    means: str


_WORKERS = Number(1, 64, "it is how many requests an API works at in the same moment")
NUMBERS = {
    "WAIT_TIMEOUT": Number(0, 86400, "it is in seconds, and 300 without"),
    "COMPUTES": Number(1, 200, "it is how many nova-compute run in this container"),
    "API_WORKERS": _WORKERS,
    "API_THREADS": _WORKERS,
    "DB_PORT": Number(1, 65535, "it is 3306 without"),
    "GATEWAY_PORT": Number(0, 65535, "it is 80 without, and 0 for none"),
    "TLS_PORT": Number(1, 65535, "it is 443 without, and used with TLS=true"),
    "PUBLIC_PORT_BASE": Number(
        0, 60000, "it is added to each API's own port in the catalog's public endpoints"
    ),
}


# What a new cloud has in it: little, or what DevStack makes.
SMALL = "small"
DEVSTACK = "devstack"


@dataclass(frozen=True)
class Environment:
    """The normalised environment and what was changed on the way."""

    values: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    # Options given through OS_<GROUP>__<OPTION>_FILE: {group: {option: value}}.
    from_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Options given through OPTIONS: {service: {group: {option: value}}}.
    options: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)

    def get(self, name: str, default: str) -> str:
        return self.values.get(name) or default

    def given(self, name: str) -> str | None:
        return self.values.get(name) or None

    def option(self, group: str, name: str) -> str | None:
        """The value of an oslo.config option that the user gave, by value or by file."""
        key = f"OS_{group.upper()}__{name.upper()}"
        return self.given(key) or self.from_files.get(group, {}).get(name)


def read(environ: Mapping[str, str], *, whole: bool = False) -> Environment:
    """The environment of a container; a ``whole`` cloud in one has no other keystone to log in to.

    Raises ``ContractError``.
    """
    values = dict(environ)
    warnings: list[str] = []
    if whole:
        _drop_foreign(values, warnings)
    _check_numbers(values)
    from_files = _read_secret_files(values)
    _rename(values, warnings)
    _fix_auth_url(values, warnings)
    _fix_identity_version(values, warnings)
    gone = [name for name in GONE if values.pop(name, None) is not None]
    warnings += [f"{name} is ignored: admin tokens were removed from keystone" for name in gone]
    _check(values)
    return Environment(values, tuple(warnings), from_files, _options(values))


def is_clients(name: str) -> bool:
    """Whether OpenStack's clients read it: no option, nothing of a service, not of the image."""
    own = ("OS_CLIENT_CONFIG_FILE", *(f"OS_{service.variable}_" for service in SERVICES.values()))
    return name.startswith("OS_") and "__" not in name and not name.startswith(own)


def _drop_foreign(values: dict[str, str], warnings: list[str]) -> None:
    """CI passes the variables of a job to the containers beside it: they are the job's clients'."""
    if not values.get(f"{SERVICES[IDENTITY].variable}_URL"):
        names = [name for name in values if is_clients(name)]
        _drop(values, names, "a client's, and no setting of this cloud", warnings)
    legacy = [name for name in values if name in RENAMED and name not in OWN_OLD_NAMES]
    _drop(values, legacy, "legacy names, which this image has never had", warnings)


def _drop(values: dict[str, str], names: list[str], what: str, warnings: list[str]) -> None:
    given = [name for name in sorted(names) if values.pop(name)]
    if given:
        warnings.append(f"ignored: {', '.join(given)} ({what})")


def _read_secret_files(values: dict[str, str]) -> dict[str, dict[str, str]]:
    options: dict[str, dict[str, str]] = {}
    for name in [key for key in values if key.endswith("_FILE")]:
        if match := OSLO_SECRET_FILE.match(name):
            group, option = match[1].removeprefix("OS_").lower().split("__", 1)
            options.setdefault(group, {})[option] = _read_secret(name, values[name])
        elif SECRET.match(base := name.removesuffix("_FILE")):
            if values.get(base):
                raise ContractError(f"{base} and {name} are both set", "set one of the two")
            # Children are given the one that was read.
            values[base] = _read_secret(name, values.pop(name))
    return options


def _read_secret(name: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ContractError(
            f"{name}: cannot read {path}: {reason}",
            "mount the secret where the container's user can read it",
        ) from error
    secret = text.rstrip("\r\n")
    if not secret:
        raise ContractError(f"{name}: {path} is empty", "put the password into that file")
    return secret


def _options(values: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Of OPTIONS: a line for each, as in neutron.DEFAULT.dns_domain=example.org."""
    options: dict[str, dict[str, dict[str, str]]] = {}
    for line in values.get("OPTIONS", "").splitlines():
        if not line.strip():
            continue
        match = OPTION.fullmatch(line.strip())
        if not match:
            raise ContractError(
                f"OPTIONS: {line.strip()!r} is not an option",
                "write SERVICE.GROUP.OPTION=VALUE, such as nova.DEFAULT.debug=true, one a line",
            )
        service, group, option, value = match.groups()
        if service not in SERVICES:
            raise ContractError(
                f"OPTIONS: this container has no service {service}",
                "one of: " + ", ".join(sorted(SERVICES)),
            )
        options.setdefault(service, {}).setdefault(group, {})[option] = value
    return options


def _rename(values: dict[str, str], warnings: list[str]) -> None:
    for old, new in RENAMED.items():
        value = values.pop(old, None)
        if not value:
            continue
        if values.get(new) in (None, "", value):
            warnings.append(f"{old} is a legacy name, used as {new}")
            values[new] = value
        else:
            warnings.append(f"{old} is a legacy name, ignored because {new} is set")


def _fix_auth_url(values: dict[str, str], warnings: list[str]) -> None:
    url = values.get("OS_AUTH_URL")
    if not url:
        return
    check_http_url("OS_AUTH_URL", url)
    fixed = url.rstrip("/").replace(":35357", ":5000")
    version = fixed.rsplit("/", 1)[-1]
    if version == "v2.0":
        fixed = fixed.removesuffix("v2.0") + "v3"
    elif re.fullmatch(r"v[0-9.]+", version):
        if version != "v3":
            raise ContractError(
                f"OS_AUTH_URL={url}: the Identity API has no version {version}",
                "use http://keystone:5000/v3",
            )
    else:
        fixed += "/v3"
    if "v2.0" in url or ":35357" in url:
        warnings.append(f"OS_AUTH_URL={url} is a legacy address, used as {fixed}")
    values["OS_AUTH_URL"] = fixed


def _fix_identity_version(values: dict[str, str], warnings: list[str]) -> None:
    version = values.get("OS_IDENTITY_API_VERSION")
    if version in ("2", "2.0"):
        warnings.append(f"OS_IDENTITY_API_VERSION={version} is a legacy version, used as 3")
        values["OS_IDENTITY_API_VERSION"] = "3"
    elif version not in (None, "", "3"):
        raise ContractError(
            f"OS_IDENTITY_API_VERSION={version}: there is no such version",
            "leave it out or set it to 3",
        )


def _check_numbers(values: Mapping[str, str]) -> None:
    for name, number in NUMBERS.items():
        value = values.get(name)
        if value and not (_is_number(value) and number.least <= int(value) <= number.most):
            raise ContractError(
                f"{name}={value}: expected a number from {number.least} to {number.most}",
                number.means,
            )


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal()


def _check(values: Mapping[str, str]) -> None:
    if values.get("LOG_FORMAT", "text") not in ("text", "json"):
        raise ContractError(
            f"LOG_FORMAT={values['LOG_FORMAT']}: expected text or json", "leave it out for text"
        )
    if values.get("SAMPLES", SMALL) not in ("", SMALL, DEVSTACK):
        raise ContractError(
            f"SAMPLES={values['SAMPLES']}: expected {SMALL} or {DEVSTACK}",
            f"leave it out for {SMALL}",
        )
    if values.get("TLS", "") not in ("", "true", "false"):
        raise ContractError(f"TLS={values['TLS']}: expected true or false", "false is the default")
    if bool(values.get("TLS_CERTIFICATE")) != bool(values.get("TLS_KEY")):
        raise ContractError("TLS_CERTIFICATE and TLS_KEY belong together", "set both, or neither")
    if value := values.get("PATCHES"):
        patches.check(value)
    parse_routes(values.get("GATEWAY_PATHS", ""))
    for name, value in values.items():
        if OSLO.match(name) and "\n" in value:
            raise ContractError(f"{name} has more than one line", "oslo.config reads one line")
    for name, value in values.items():
        if value and name in URL_NAMES:
            check_http_url(name, value)
