"""Public endpoints as a client reaches them, unless somebody has set them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from contract.mount import Client
from contract.services import Service
from contract.urls import Route

Entry = Mapping[str, Any]


class Addresses:
    """The endpoints of a cloud, by the address of a request to keystone.

    Somebody has set a public endpoint that is another one than the internal one, and those of the
    types in ``given``. ``routes`` are the gateway's.
    """

    def __init__(self, identity: Service, routes: Iterable[Route], given: Collection[str]) -> None:
        self.identity = identity.endpoint
        self.prefixes = {self.identity.port: self.identity.prefix}
        for route in routes:
            self.prefixes.setdefault(route.port, route.prefix)
        self.given = given

    def of(self, client: Client, catalog: Iterable[Entry]) -> list[dict[str, Any]]:
        """The catalog for this client; the one that is given stays as it is."""
        entries = list(catalog)
        internal = {
            (entry["type"], each["region_id"]): each["url"]
            for entry in entries
            for each in entry["endpoints"]
            if each["interface"] == "internal"
        }
        own = {urlsplit(url).hostname for key, url in internal.items()
               if key[0] == self.identity.type}  # fmt: skip

        def seen(kind: str, endpoint: Entry) -> dict[str, Any]:
            url = endpoint["url"]
            by_nobody = (
                kind not in self.given and internal.get((kind, endpoint["region_id"])) == url
            )
            if endpoint["interface"] != "public" or not by_nobody:
                return dict(endpoint)
            return {**endpoint, "url": self._url(client, own, urlsplit(url))}

        return [
            {**entry, "endpoints": [seen(entry["type"], each) for each in entry["endpoints"]]}
            for entry in entries
        ]

    def _url(self, client: Client, own: Collection[str | None], stored: SplitResult) -> str:
        """``own`` are keystone's names for other containers, which need no other address."""
        by_port = client.port == str(self.identity.port) and not (client.mounted or client.prefix)
        if by_port and client.name.lower() in own:
            return stored.geturl()
        if by_port and stored.hostname in own:
            # The same container, whose ports are published under their own numbers.
            return f"{client.scheme}://{client.name}:{stored.port}{stored.path}"
        prefix = self.prefixes.get(stored.port or 0)
        if prefix is None:
            return stored.geturl()
        if stored.port == self.identity.port and not client.mounted:
            prefix = ""
        return f"{client.origin}{prefix}{stored.path}"
