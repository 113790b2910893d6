"""heat's API of CloudFormation, in the processes of its own API.

Servers send their signals to it, and its address is in what heat gives to a server.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from contract import address
from contract.answers import Wsgi
from contract.services import Service
from contract.settings import Settings

PREFIX = "/cfn"


def load() -> Wsgi:
    made: Wsgi = importlib.import_module("heat.common.config").load_paste_app("heat-api-cfn")
    return made


def below(application: Wsgi, other: Wsgi) -> Wsgi:
    """The application, and below PREFIX the other one."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != PREFIX and not path.startswith(f"{PREFIX}/"):
            return application(environ, start_response)
        environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}{PREFIX}"
        environ["PATH_INFO"] = path.removeprefix(PREFIX) or "/"
        return other(environ, start_response)

    return serve


def url(settings: Settings, service: Service) -> str:
    """Its address for other containers."""
    own = urlsplit(address.urls(settings, service)["internal"])
    return f"{own.scheme}://{own.netloc}{PREFIX}/v1"
