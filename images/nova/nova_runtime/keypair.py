"""The key pair of the user demo where a cloud has what DevStack makes."""

from __future__ import annotations

from contract.rest import AnswerError, Client
from contract.services import SERVICES
from contract.settings import Settings
from contract.wait import Deadline, answers

NAME = "demo"
# Nobody has the other half: a server of FakeDriver has no door that it would open.
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJ8hPdwvvbq8vJh+N8lqbqLfhKMOMd0bJmkSxXcOsyx demo"


def ensure(settings: Settings, deadline: Deadline) -> None:
    """Through this container's own API."""
    nova = SERVICES["nova"].endpoint
    url = f"http://127.0.0.1:{nova.port}"
    deadline.wait("nova's own API", lambda: answers(f"{url}/"))
    keys = f"{url}{nova.path}/os-keypairs"
    new = {"keypair": {"name": NAME, "public_key": PUBLIC_KEY}}
    try:
        Client(settings.auth_url, settings.demo).send("POST", keys, new)
    except AnswerError as error:
        if error.status != 409:
            raise
