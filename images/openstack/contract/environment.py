"""The container's environment, read once: secrets from files, legacy names, checks.

Everything here is pure but for reading the `*_FILE` secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contract.errors import ContractError
from contract.urls import check_http_url

OSLO = re.compile(r"^OS_[A-Z0-9_]+?__[A-Z0-9_]+$")
# Options of oslo.config whose value is a secret; others may end in _FILE by their own name.
OSLO_SECRET_FILE = re.compile(r"^(OS_[A-Z0-9_]+?__(?:\w*PASSWORD|CONNECTION|TRANSPORT_URL))_FILE$")
SECRET = re.compile(r"^(?:[A-Z]+_(?:DBPASS|PASS)|OS_PASSWORD|(?:\w+_)?PASSWORD)$")

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
}

URL_NAMES = ("PUBLIC_URL", "INTERNAL_URL", "ADMIN_URL", "PLACEMENT_URL", "NEUTRON_URL")
# Names that no service understands any more; the value would mislead whoever set it.
GONE = ("OS_SERVICE_TOKEN", "OS_SERVICE_ENDPOINT", "SERVICE_TOKEN", "SERVICE_ENDPOINT")
MOST_COMPUTES = 200


@dataclass(frozen=True)
class Environment:
    """The normalised environment and what was changed on the way."""

    values: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    # Options given through OS_<GROUP>__<OPTION>_FILE: {group: {option: value}}.
    from_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def get(self, name: str, default: str) -> str:
        return self.values.get(name) or default

    def given(self, name: str) -> str | None:
        return self.values.get(name) or None

    def option(self, group: str, name: str) -> str | None:
        """The value of an oslo.config option that the user gave, by value or by file."""
        key = f"OS_{group.upper()}__{name.upper()}"
        return self.given(key) or self.from_files.get(group, {}).get(name)


def read(environ: Mapping[str, str]) -> Environment:
    values = dict(environ)
    warnings: list[str] = []
    from_files = _read_secret_files(values)
    _rename(values, warnings)
    _fix_auth_url(values, warnings)
    _fix_identity_version(values, warnings)
    gone = [name for name in GONE if values.pop(name, None) is not None]
    warnings += [f"{name} is ignored: admin tokens were removed from keystone" for name in gone]
    _check(values)
    return Environment(values, tuple(warnings), from_files)


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


def _check(values: Mapping[str, str]) -> None:
    if values.get("LOG_FORMAT", "text") not in ("text", "json"):
        raise ContractError(
            f"LOG_FORMAT={values['LOG_FORMAT']}: expected text or json", "leave it out for text"
        )
    timeout = values.get("WAIT_TIMEOUT")
    if timeout and not timeout.isdecimal():
        raise ContractError(
            f"WAIT_TIMEOUT={timeout}: expected a number of seconds", "the default is 300"
        )
    computes = values.get("COMPUTES")
    if computes and not (computes.isdecimal() and 1 <= int(computes) <= MOST_COMPUTES):
        raise ContractError(
            f"COMPUTES={computes}: expected a number from 1 to {MOST_COMPUTES}",
            "it is how many nova-compute run in this container",
        )
    for name, value in values.items():
        if OSLO.match(name) and "\n" in value:
            raise ContractError(f"{name} has more than one line", "oslo.config reads one line")
    for name, value in values.items():
        if value and name.endswith(URL_NAMES):
            check_http_url(name, value)
