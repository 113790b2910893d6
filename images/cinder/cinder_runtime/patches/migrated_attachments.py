"""The attachments of a volume that migrates are its own before its old data is deleted."""

from __future__ import annotations

from typing import Any

from contract.patches import EVERY

REPLACES = ("cinder.objects.volume:Volume.finish_volume_migration",)
RELEASES = EVERY
REASON = (
    "The deletion of the old data, which deletes the attachments of its record, is asked for "
    "before they are moved away from that record. On a back end that deletes at once it is first: "
    "the volume has no attachment then, and is `in-use` for ever."
)


def apply() -> None:
    from cinder.objects import VolumeAttachmentList
    from cinder.objects.volume import Volume

    finish = Volume.finish_volume_migration

    def finish_volume_migration(volume: Any, dest_volume: Any) -> Any:
        old = finish(volume, dest_volume)
        for attachment in VolumeAttachmentList.get_all_by_volume_id(volume._context, old.id):
            attachment.volume_id = volume.id
            attachment.save()
        return old

    Volume.finish_volume_migration = finish_volume_migration
