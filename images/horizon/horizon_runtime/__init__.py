"""What a container does for horizon that its image.yaml cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.answers import Wsgi
    from contract.settings import Settings

PREFIX = "/dashboard"


def write_files(settings: Settings) -> None:
    from horizon_runtime import files

    files.write(settings)


def after_application(application: Any) -> Any:
    """Every address in its pages is below PREFIX: whoever asks for another path is sent there."""
    return _below(application)


def _below(application: Wsgi) -> Wsgi:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("SCRIPT_NAME", "").endswith(PREFIX):
            return application(environ, start_response)
        start_response("302 Found", [("Location", f"{PREFIX}/"), ("Content-Length", "0")])
        return []

    return serve
