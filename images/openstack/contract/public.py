"""Public and admin endpoints as a client reaches them, unless somebody has set them. Pure."""

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
        internal, public = _urls(entries, "internal"), _urls(entries, "public")
        own = {urlsplit(url).hostname for key, url in internal.items()
               if key[0] == self.identity.type}  # fmt: skip
        is_container = self._is_container(client, own)

        def seen(kind: str, endpoint: Entry) -> str:
            key, url = (kind, endpoint["region_id"]), str(endpoint["url"])
            by_nobody = internal.get(key) == url
            if endpoint["interface"] == "admin" and by_nobody and not is_container:
                url = public.get(key, url)
            elif endpoint["interface"] != "public":
                return url
            if kind in self.given or internal.get(key) != url:
                return url
            return self._url(client, own, urlsplit(url))

        return [
            {
                **entry,
                "endpoints": [
                    {**each, "url": seen(entry["type"], each)} for each in entry["endpoints"]
                ],
            }
            for entry in entries
        ]

    def _is_container(self, client: Client, own: Collection[str | None]) -> bool:
        """Whether it asks as other containers do, which need no other address."""
        return self._by_port(client) and client.name.lower() in own

    def _by_port(self, client: Client) -> bool:
        return client.port == str(self.identity.port) and not (client.mounted or client.prefix)

    def _url(self, client: Client, own: Collection[str | None], stored: SplitResult) -> str:
        """``own`` are keystone's names for other containers."""
        if self._is_container(client, own):
            return stored.geturl()
        if self._by_port(client) and stored.hostname in own:
            # The same container, whose ports are published under their own numbers.
            return f"{client.scheme}://{client.name}:{stored.port}{stored.path}"
        prefix = self.prefixes.get(stored.port or 0)
        if prefix is None:
            return stored.geturl()
        if stored.port == self.identity.port and not client.mounted:
            prefix = ""
        return f"{client.origin}{prefix}{stored.path}"


def _urls(catalog: Iterable[Entry], interface: str) -> dict[tuple[str, str], str]:
    """The address of each type of service in each region."""
    return {
        (entry["type"], each["region_id"]): each["url"]
        for entry in catalog
        for each in entry["endpoints"]
        if each["interface"] == interface
    }
