"""In a cloud without a service of volumes nova says so."""

from __future__ import annotations

from functools import wraps
from typing import Any

from contract.patches import EVERY

REPLACES = ("nova.volume.cinder:_get_cinderclient_parameters",)
RELEASES = EVERY
REASON = (
    "A request that concerns a volume would be answered with 500, and be a traceback in the log."
)
WHY = (
    "This cloud has no block storage service: there are no volumes and no snapshots of volumes. "
    "Start one that has it, or boot servers from images."
)


def apply() -> None:
    """For nova's API, and for computes."""
    from keystoneauth1 import exceptions as keystone
    from nova import exception
    from nova.volume import cinder

    bases: Any = (
        *(exception.VolumeNotFound, exception.SnapshotNotFound, exception.InvalidVolume),
        # These two no method of the API makes something else of.
        *(exception.CinderConnectionFailed, exception.NotSupported),
    )

    class NoVolumesError(*bases):  # type: ignore[misc]  # nova's have no types
        """nova answers each of these with 404 or 400, by what was asked."""

        msg_fmt = WHY
        code = 404

    ask = cinder._get_cinderclient_parameters

    @wraps(ask)
    def parameters(*given: Any) -> Any:
        try:
            found = ask(*given)
        except (keystone.CatalogException, keystone.EndpointNotFound):
            raise NoVolumesError from None
        if not found[-1]:
            raise NoVolumesError
        return found

    cinder._get_cinderclient_parameters = parameters
