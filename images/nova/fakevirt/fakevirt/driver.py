"""nova's FakeDriver, and what tests of restarts, evacuations and images need beside it.

It keeps its servers in files, has all their power states, uploads snapshots, frees interfaces, and
takes time and fails as it is told.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import nova.conf
from contract import behaviour
from contract.behaviour import FAIL
from nova import exception
from nova.compute import power_state, task_states, vm_states
from nova.image import glance
from nova.objects import fields
from nova.virt import fake, hardware
from oslo_log import log as logging

from fakevirt import options
from fakevirt.operations import OPERATIONS
from fakevirt.state import Guest, Store

try:
    from nova.virt import node
except ImportError:  # before 2023.1 a compute has no identity
    node = None

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)
POLL = 0.1
# Of a server that nova says is here, and of which there is no file.
STATES = {
    vm_states.PAUSED: power_state.PAUSED,
    vm_states.SUSPENDED: power_state.SUSPENDED,
    vm_states.STOPPED: power_state.SHUTDOWN,
}
ERRORS = {
    "attach_interface": exception.InterfaceAttachFailed,
    "detach_interface": exception.InterfaceDetachFailed,
}


class FakeVirtDriver(fake.FakeDriver):  # type: ignore[misc]  # it has no types
    """Signatures differ between releases: what a method does not need is in ``given``."""

    capabilities: ClassVar[dict[str, bool]] = dict(
        fake.FakeDriver.capabilities, supports_bfv_rescue=True
    )

    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        conf = options.register(CONF)
        self.vcpus, self.memory_mb, self.local_gb = conf.vcpus, conf.memory_mb, conf.local_gb
        super().__init__(virtapi, read_only)
        self.host_status_base |= {
            "hypervisor_type": conf.hypervisor_type,
            "supported_instances": _supported(conf),
        }
        self._started = time.time()
        self._cached: set[str] = set()
        # By server, how a live migration ends that somebody aborts or completes.
        self._ends: dict[str, str] = {}

    # The compute

    def init_host(self, host: str) -> None:
        super().init_host(host)
        self._set_nodes([host])
        self._store = Store(Path(CONF.state_path, "fakevirt", host))
        self.instances, damaged = self._store.load()
        for path in damaged:
            LOG.error("%s is damaged: its server is taken over as nova's database has it.", path)
        if CONF.fakevirt.power_off_at_start:
            for guest in self.instances.values():
                # Suspended ones are on disk.
                if guest.state != power_state.SUSPENDED:
                    self._set_state(guest, power_state.SHUTDOWN)

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """nova calls it for each server of this host when the compute starts."""
        if instance.uuid not in self.instances:
            state = STATES.get(instance.vm_state, power_state.RUNNING)
            self._keep(instance, network_info, None, state)

    def get_available_resource(self, nodename: str) -> Any:
        guests = list(self.instances.values())
        self.resources.vcpus_used = sum(guest.vcpus for guest in guests)
        self.resources.memory_mb_used = sum(guest.memory_mb for guest in guests)
        self.resources.local_gb_used = sum(guest.disk_gb for guest in guests)
        found = super().get_available_resource(nodename)
        if found:
            cpu = json.loads(found["cpu_info"]) | {"arch": CONF.fakevirt.architectures[0]}
            found["cpu_info"] = json.dumps(cpu)
            if node:
                found["uuid"] = node.get_local_node_uuid()
        return found

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        """The identity is the one that nova keeps in a file."""
        return {node.get_local_node_uuid(): self._host}

    def get_host_uptime(self) -> str:
        """As the program `uptime` has it; the compute's start is the host's."""
        minutes = int(time.time() - self._started) // 60
        days, minutes = divmod(minutes, 24 * 60)
        up = f"{days} day{'s' * (days != 1)}, " if days else ""
        up += f"{minutes // 60:2}:{minutes % 60:02}"
        now = time.strftime("%H:%M:%S", time.gmtime())
        return f" {now} up {up},  0 users,  load average: 0.00, 0.00, 0.00\n"

    def list_instances(self) -> list[str]:
        return [guest.name for guest in list(self.instances.values())]

    def cache_image(self, context: Any, image_id: str) -> bool:
        """Whether it is new."""
        new = image_id not in self._cached
        self._cached.add(image_id)
        return new

    # A server's life

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: Any,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        **given: Any,
    ) -> None:
        self._take_time("spawn", instance)
        if instance.task_state == task_states.REBUILD_SPAWNING:
            self._take_time("rebuild", instance)
        for vif in network_info or ():
            # It waits for neutron, and fails where that did.
            vif.fixed_ips()
        self._keep(instance, network_info, block_device_info, _power(power_on))

    def destroy(self, context: Any, instance: Any, *given: Any, **named: Any) -> None:
        """An unknown one is destroyed already: an evacuated one, say."""
        self._take_time("destroy", instance)
        self._drop(instance)

    def power_on(self, context: Any, instance: Any, *given: Any, **named: Any) -> None:
        self._take_time("power_on", instance)
        super().power_on(context, instance, *given, **named)
        self._store.save(self._guest(instance))

    def power_off(self, instance: Any, *given: Any, **named: Any) -> None:
        self._take_time("power_off", instance)
        super().power_off(instance, *given, **named)
        self._store.save(self._guest(instance))

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        **given: Any,
    ) -> None:
        """A hard one makes the server again, as on libvirt."""
        try:
            self._take_time("reboot", instance)
        except exception.NovaException:
            # nova takes one that still runs for rebooted.
            self._set_state(self._guest(instance), power_state.SHUTDOWN)
            raise
        if reboot_type.lower() == "hard":
            self._keep(instance, network_info, block_device_info)
        else:
            self._set_state(self._guest(instance), power_state.RUNNING)

    def pause(self, instance: Any) -> None:
        self._change("pause", instance, power_state.PAUSED)

    def unpause(self, instance: Any) -> None:
        self._change("unpause", instance, power_state.RUNNING)

    def suspend(self, context: Any, instance: Any) -> None:
        self._change("suspend", instance, power_state.SUSPENDED)

    def resume(self, context: Any, instance: Any, *given: Any, **named: Any) -> None:
        self._change("resume", instance, power_state.RUNNING)

    def rescue(self, context: Any, instance: Any, *given: Any, **named: Any) -> None:
        self._change("rescue", instance, power_state.RUNNING)

    def unrescue(self, context: Any, instance: Any) -> None:
        self._change("unrescue", instance, power_state.RUNNING)

    def soft_delete(self, instance: Any) -> None:
        self._set_state(self._guest(instance), power_state.SHUTDOWN)

    def restore(self, instance: Any) -> None:
        self._set_state(self._guest(instance), power_state.RUNNING)

    def resume_state_on_host_boot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        *given: Any,
    ) -> None:
        # Newer releases have shares before the block devices.
        self._keep(instance, network_info, given[-1])

    def set_admin_password(self, instance: Any, new_pass: str) -> None:
        self._take_time("set_admin_password", instance)
        self._guest(instance)

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        return hardware.InstanceInfo(state=self._guest(instance).state)

    def get_console_output(self, context: Any, instance: Any) -> str:
        """nova cuts its end off, of as many lines as were asked for."""
        count = CONF.fakevirt.console_lines
        lines = [f"FAKE CONSOLE OUTPUT {number}" for number in range(1, count)]
        return "\n".join([*lines, "LAST LINE"])

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        if instance.uuid not in self.instances:
            raise exception.InstanceNotRunning(instance_id=instance.uuid)
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        self._take_time("snapshot", instance)
        update_task_state(
            task_state=task_states.IMAGE_UPLOADING,
            expected_state=task_states.IMAGE_PENDING_UPLOAD,
        )
        images = glance.API()
        image = {
            "name": images.get(context, image_id)["name"],
            "status": "active",
            "disk_format": "raw",
            "container_format": "bare",
            "properties": {
                "image_location": "snapshot",
                "image_state": "available",
                "owner_id": instance.project_id,
            },
        }
        data = io.BytesIO(f"The disk of server {instance.uuid}.\n".encode())
        images.update(context, image_id, image, data, purge_props=False)

    # Its way to another host

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        *given: Any,
        **named: Any,
    ) -> None:
        self._change("migrate", instance, power_state.SHUTDOWN)

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        **given: Any,
    ) -> None:
        self._take_time("finish_migration", instance)
        self._keep(instance, network_info, block_device_info, _power(power_on))

    def finish_revert_migration(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        migration: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        **given: Any,
    ) -> None:
        self._take_time("finish_revert_migration", instance)
        self._keep(instance, network_info, block_device_info, _power(power_on))

    def confirm_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        network_info: Any,
    ) -> None:
        if migration.source_compute != migration.dest_compute:
            self._drop(instance)

    def live_migration(
        self,
        context: Any,
        instance: Any,
        dest: str,
        post_method: Any,
        recover_method: Any,
        block_migration: bool = False,
        migrate_data: Any = None,
    ) -> None:
        """Until its time is over, or somebody completes or aborts it."""
        try:
            end = self._travel(instance)
        except exception.NovaException as error:
            LOG.error("%s", error, instance=instance)
            end = "failed"
        if end == "completed":
            post_method(context, instance, dest, block_migration, migrate_data)
        else:
            recover_method(context, instance, dest, migrate_data, migration_status=end)

    def _travel(self, instance: Any) -> str:
        """How the live migration ends."""
        self._ends.pop(instance.uuid, None)
        end = time.monotonic() + self._delay("live_migration", instance)
        while instance.uuid not in self._ends and (left := end - time.monotonic()) > 0:
            time.sleep(min(POLL, left))
        self._fail("live_migration", instance)
        return self._ends.pop(instance.uuid, "completed")

    def live_migration_force_complete(self, instance: Any) -> None:
        self._ends[instance.uuid] = "completed"

    def live_migration_abort(self, instance: Any) -> None:
        self._ends[instance.uuid] = "cancelled"

    def post_live_migration(self, context: Any, instance: Any, *given: Any, **named: Any) -> None:
        """On the host that it has left."""
        self._drop(instance)

    def post_live_migration_at_source(self, context: Any, instance: Any, network_info: Any) -> None:
        """Its interfaces are freed with it."""

    def post_live_migration_at_destination(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_migration: bool = False,
        block_device_info: Any = None,
    ) -> None:
        paused = instance.vm_state == vm_states.PAUSED
        state = power_state.PAUSED if paused else power_state.RUNNING
        self._keep(instance, network_info, block_device_info, state)

    # What is attached to it

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        self._take_time("attach_interface", instance)
        guest = self._guest(instance)
        if vif["id"] in guest.interfaces:
            raise exception.InterfaceAttachFailed(instance_uuid=instance.uuid)
        guest.interfaces.append(vif["id"])
        self._store.save(guest)

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        self._take_time("detach_interface", instance)
        guest = self._guest(instance)
        if vif["id"] not in guest.interfaces:
            raise exception.InterfaceDetachFailed(instance_uuid=instance.uuid)
        guest.interfaces.remove(vif["id"])
        self._store.save(guest)

    def attach_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        mountpoint: str,
        **named: Any,
    ) -> None:
        self._take_time("attach_volume", instance)
        guest = self._guest(instance)
        guest.volumes[mountpoint] = _volume(connection_info)
        self._store.save(guest)

    def detach_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        mountpoint: str,
        **named: Any,
    ) -> None:
        self._take_time("detach_volume", instance)
        if guest := self.instances.get(instance.uuid):
            guest.volumes.pop(mountpoint, None)
            self._store.save(guest)

    def swap_volume(
        self,
        context: Any,
        old_connection_info: Any,
        new_connection_info: Any,
        instance: Any,
        mountpoint: str,
        resize_to: int,
    ) -> None:
        self._take_time("swap_volume", instance)
        guest = self._guest(instance)
        guest.volumes[mountpoint] = _volume(new_connection_info)
        self._store.save(guest)

    def extend_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        requested_size: int,
    ) -> None:
        self._take_time("extend_volume", instance)

    def get_volume_connector(self, instance: Any) -> dict[str, Any]:
        """A host's own: a storage that exports to an initiator tells hosts apart by it."""
        found: dict[str, Any] = super().get_volume_connector(instance)
        return found | {
            "initiator": f"iqn.2010-10.org.openstack:{self._host}",
            "multipath": False,
            "platform": CONF.fakevirt.architectures[0],
            "os_type": "linux",
        }

    # What the methods above share

    def _take_time(self, operation: str, instance: Any) -> None:
        """Wait as long as the operation takes; raises an error if it is to fail."""
        if delay := self._delay(operation, instance):
            time.sleep(delay)
        self._fail(operation, instance)

    def _delay(self, operation: str, instance: Any) -> float:
        try:
            default = CONF.fakevirt[f"{operation}_delay"]
            return behaviour.delay(operation, default, _properties(instance))
        except ValueError as error:
            raise _failed(operation, instance, str(error)) from None

    def _fail(self, operation: str, instance: Any) -> None:
        properties = _properties(instance)
        try:
            if behaviour.is_to_fail(operation, properties, OPERATIONS):
                why = f"its metadata or flavor has {FAIL}={properties[FAIL]}"
                raise _failed(operation, instance, why)
        except ValueError as error:
            raise _failed(operation, instance, f"{FAIL}: {error}") from None
        if operation in CONF.fakevirt.fail:
            why = f"the option [fakevirt] fail of the compute {self._host} has it"
            raise _failed(operation, instance, why, elsewhere=True)

    def _guest(self, instance: Any) -> Guest:
        guest: Guest | None = self.instances.get(instance.uuid)
        if guest is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        return guest

    def _change(self, operation: str, instance: Any, state: int) -> None:
        self._take_time(operation, instance)
        self._set_state(self._guest(instance), state)

    def _set_state(self, guest: Guest, state: int) -> None:
        guest.state = state
        self._store.save(guest)

    def _keep(
        self,
        instance: Any,
        network_info: Iterable[Any] | None,
        block_device_info: Any,
        state: int = power_state.RUNNING,
    ) -> None:
        flavor = instance.flavor
        guest = Guest(
            uuid=instance.uuid,
            name=instance.name,
            state=state,
            vcpus=flavor.vcpus,
            memory_mb=flavor.memory_mb,
            disk_gb=flavor.root_gb + flavor.ephemeral_gb,
            interfaces=[vif["id"] for vif in network_info or ()],
            volumes=dict(_volumes(block_device_info)),
        )
        self._store.save(guest)
        self.instances[guest.uuid] = guest

    def _drop(self, instance: Any) -> None:
        self.instances.pop(instance.uuid, None)
        self._store.remove(instance.uuid)


def _supported(conf: Any) -> list[tuple[str, str, str]]:
    kinds = [conf.hypervisor_type]
    if conf.hypervisor_type == fields.HVType.QEMU:
        kinds.append(fields.HVType.KVM)
    return [(arch, kind, fields.VMMode.HVM) for arch in conf.architectures for kind in kinds]


def _power(on: bool) -> int:
    return int(power_state.RUNNING if on else power_state.SHUTDOWN)


def _properties(instance: Any) -> dict[str, str]:
    """Those of the flavor, and before them those of the server's metadata."""
    return {**(instance.flavor.get("extra_specs") or {}), **(instance.metadata or {})}


def _failed(operation: str, instance: Any, why: str, elsewhere: bool = False) -> Exception:
    """What nova is told; it tries a spawn on another compute only if that may be better."""
    what = f"{operation} of server {instance.uuid} fails: {why}"
    error: Exception
    if operation == "spawn" and not elsewhere:
        error = exception.BuildAbortException(instance_uuid=instance.uuid, reason=what)
    else:
        error = ERRORS.get(operation, exception.InternalError)(what)
    return error


def _volume(connection_info: Any) -> str:
    """The volume's id, as far as its backend says."""
    data = connection_info.get("data") or {}
    return str(connection_info.get("serial") or data.get("volume_id") or "")


def _volumes(block_device_info: Any) -> Iterator[tuple[str, str]]:
    for mapping in (block_device_info or {}).get("block_device_mapping") or ():
        yield mapping["mount_device"], _volume(mapping["connection_info"] or {})
