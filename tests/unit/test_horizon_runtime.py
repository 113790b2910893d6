"""What horizon's container puts before upstream's application, and into files."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import horizon_runtime
import pytest
from contract.environment import read
from contract.settings import Settings, find_role, resolve
from horizon_runtime import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def settings(**environ: str) -> Settings:
    return resolve(find_role("horizon"), read(environ))


def seen(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """An application that answers with what it sees of the path."""
    start_response("200 OK", [])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize("path", ["/", "/project/"])
def test_who_asks_for_another_path_is_sent_to_the_dashboard(path: str) -> None:
    application = horizon_runtime.after_application(seen)

    def ask(script: str) -> tuple[list[Any], bytes]:
        answer: list[Any] = []
        environ = {"PATH_INFO": path, "SCRIPT_NAME": script}
        body = application(environ, lambda *given: answer.extend(given))
        return answer, b"".join(body)

    (status, headers), _ = ask("")
    assert (status, dict(headers)["Location"]) == ("302 Found", "/dashboard/")
    assert ask("/dashboard")[1].decode() == f"/dashboard|{path}"


def test_the_key_of_sessions_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RUN", tmp_path)
    own = tmp_path / "horizon"
    own.mkdir()
    files.write(settings(OS_AUTH_URL="http://other:5000/v3", REGION_NAME="North"))
    first = json.loads((own / "settings.json").read_text(encoding="utf-8"))
    assert first["OPENSTACK_KEYSTONE_URL"] == "http://other:5000/v3"
    assert first["DEFAULT_SERVICE_REGIONS"] == {"*": "North"}
    assert len(first["SECRET_KEY"]) > 40
    assert stat.S_IMODE((own / "settings.json").stat().st_mode) == 0o600
    files.write(settings())
    again = json.loads((own / "settings.json").read_text(encoding="utf-8"))
    assert again["SECRET_KEY"] == first["SECRET_KEY"]
