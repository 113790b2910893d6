"""The proxy's configuration: paste's, which takes nothing from oslo.config."""

from __future__ import annotations

from collections.abc import Mapping
from configparser import RawConfigParser
from io import StringIO
from pathlib import Path

from contract import config
from contract.settings import Settings

SOURCE = Path("/etc/swift/proxy-server.ini")
WRITTEN = config.RUN / "swift" / "proxy-server.conf"


def write(settings: Settings) -> None:
    service = settings.main
    login = config.auth(settings, settings.service_login(service))
    login |= {
        "www_authenticate_uri": settings.auth_url,
        "service_type": service.endpoint.type,
        "interface": "internal",
    }
    defaults = settings.env.options.get(service.name, {}).get("DEFAULT", {})
    text = render(SOURCE.read_text(encoding="utf-8"), login, defaults)
    config.write(WRITTEN, text)


def render(text: str, login: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """The configuration ``text`` with what is known when the container starts."""
    found = RawConfigParser(delimiters="=", default_section="none")
    found.read_string(text)
    for section, options in (("filter:authtoken", login), ("DEFAULT", defaults)):
        for name, value in options.items():
            # paste expands %(name)s in values.
            found.set(section, name, value.replace("%", "%%"))
    written = StringIO()
    found.write(written)
    return written.getvalue()
