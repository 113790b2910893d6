"""keystone's cache is in the memory that all workers of one uWSGI share.

What one worker changes the others see at once, and each reader gets a copy, because keystone
changes what it finds in its cache. Outside of uWSGI, as in keystone-manage, nothing is kept.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from typing import Any

from contract.patches import EVERY
from dogpile.cache.api import NO_VALUE
from dogpile.cache.proxy import ProxyBackend

try:
    import uwsgi
except ImportError:
    uwsgi = None


REPLACES = ("keystone.common.cache.core:CACHE_INVALIDATION_REGION",)
RELEASES = EVERY
REASON = (
    "Half of a token's cost is asking the database for the same rows again. oslo.cache does not "
    "give the configuration's proxies to the region that says which entries are valid, so that "
    "none would be found."
)


def apply() -> None:
    """Keep the region that says which entries are valid where the entries are."""
    from keystone.common.cache.core import CACHE_INVALIDATION_REGION

    CACHE_INVALIDATION_REGION.wrap(WorkerCache)


class WorkerCache(ProxyBackend):
    """In the place of any backend; oslo.cache takes only a proxy that it does not know."""

    def get(self, key: str) -> Any:
        found = uwsgi.cache_get(key) if uwsgi else None
        return NO_VALUE if found is None else pickle.loads(found)  # noqa: S301  # only we write it

    def set(self, key: str, value: Any) -> None:
        """One that is too large is not kept. dogpile says when it is too old."""
        if uwsgi:
            uwsgi.cache_update(key, pickle.dumps(value))

    def delete(self, key: str) -> None:
        if uwsgi:
            uwsgi.cache_del(key)

    def get_multi(self, keys: Iterable[str]) -> list[Any]:
        return [self.get(key) for key in keys]

    def set_multi(self, mapping: Mapping[str, Any]) -> None:
        for key, value in mapping.items():
            self.set(key, value)

    def delete_multi(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.delete(key)
