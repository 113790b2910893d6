"""What swift's container does before upstream's code has a request."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swift_runtime import proxy
from swift_runtime.application import Chunks, adapted
from swift_runtime.storage import keeps_attributes

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def chunks(*given: bytes) -> Chunks:
    found = iter([*given, b""])
    return Chunks(lambda: next(found))


def test_a_body_of_chunks_is_read_to_its_end() -> None:
    assert chunks(b"one", b"two").read() == b"onetwo"
    body = chunks(b"one", b"two")
    assert [body.read(2), body.read(5), body.read(5), body.read(5)] == [b"on", b"e", b"two", b""]
    assert body.read() == b""


def test_a_body_of_chunks_has_lines() -> None:
    body = chunks(b"one\nt", b"wo\nthree")
    assert [body.readline(), body.readline(2), body.readline()] == [b"one\n", b"tw", b"o\n"]
    assert [body.readline(), body.readline()] == [b"three", b""]


def test_the_account_is_read_from_the_path_below_the_prefix() -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], _: object) -> list[bytes]:
        seen.update(environ)
        return []

    given = {"SCRIPT_NAME": "/object-store", "PATH_INFO": "/v1/AUTH_1", "wsgi.input": "body"}
    adapted(application)(given, lambda *_: None)
    assert seen["SCRIPT_NAME"] + seen["PATH_INFO"] == "/v1/AUTH_1"
    assert seen["wsgi.input"] == "body"


def test_the_proxy_has_its_credentials_and_the_options_of_a_user() -> None:
    text = (ROOT / "images/swift/etc/proxy-server.ini").read_text(encoding="utf-8")
    written = RawConfigParser(delimiters="=", default_section="none")
    written.read_string(proxy.render(text, {"password": "100%"}, {"client_timeout": "10"}))
    assert written["filter:authtoken"]["password"] == "100%%"
    assert written["filter:authtoken"]["delay_auth_decision"] == "true"
    assert written["DEFAULT"]["client_timeout"] == "10"
    filters = written["pipeline:main"]["pipeline"].split()
    assert filters.index("tempurl") < filters.index("authtoken") < filters.index("keystoneauth")
    assert {f"filter:{name}" for name in filters[:-1]} <= set(written.sections())


def test_files_without_extended_attributes_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.setxattr", refuse)
    assert not keeps_attributes(tmp_path)
    monkeypatch.setattr("os.setxattr", lambda *_: None)
    assert keeps_attributes(tmp_path)
    assert list(tmp_path.iterdir()) == []
