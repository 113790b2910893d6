"""What a container's client of keystone and the others asks again, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from contract import rest
from contract.rest import AnswerError, Client
from contract.settings import Login
from contract.wait import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "http://service:1/things"


class Server:
    """Answers with each of ``answers``; an error among them is raised instead."""

    def __init__(self, *answers: Exception | tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, method: str, *_given: Any) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append(method)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return (*answer, {})


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], Client]:
    def of(server: Server) -> Client:
        monkeypatch.setattr(rest, "request", server)
        monkeypatch.setattr(rest, "PAUSE", 0)
        found = Client("http://keystone:1/v3", Login("admin", "secret", "admin"))
        found.token = "token"
        return found

    return of


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_what_may_be_done_twice_is_asked_again(
    client: Callable[[Server], Client], method: str
) -> None:
    server = Server(TimeoutError(), TimeoutError(), (200, b'{"one": 1}'))
    assert client(server).send(method, URL) == {"one": 1}
    assert server.asked == [method] * 3


def test_a_post_is_not_asked_again_when_its_answer_is_lost(
    client: Callable[[Server], Client],
) -> None:
    server = Server(TimeoutError(), (201, b"{}"))
    with pytest.raises(NotYetError):
        client(server).send("POST", URL, {})
    assert server.asked == ["POST"]


def test_a_post_that_nobody_took_is_asked_again(client: Callable[[Server], Client]) -> None:
    server = Server(ConnectionRefusedError(), (201, b"{}"))
    assert client(server).send("POST", URL, {}) == {}


def test_a_refusal_is_the_answer(client: Callable[[Server], Client]) -> None:
    server = Server((409, b'{"error": {"message": "it is there"}}'))
    with pytest.raises(AnswerError, match="it is there"):
        client(server).send("POST", URL, {})
