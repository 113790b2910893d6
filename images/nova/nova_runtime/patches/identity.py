"""The identity of a compute follows from its name: one that is started again is the same one."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

from contract.patches import Releases

REPLACES = ("nova.virt.fake:uuids",)
RELEASES = Releases("2023.1", reason="computes have had no identity before")
REASON = (
    "FakeDriver makes up another identity in each process, and nova refuses a compute that has "
    "another than before."
)


def apply() -> None:
    """For the computes of this container."""
    from oslo_utils.fixture import uuidsentinel

    from nova_runtime import processes

    for host, state in processes.computes().items():
        identity = str(uuid5(NAMESPACE_DNS, host))
        setattr(uuidsentinel, f"node_{host}", identity)
        state.mkdir(parents=True, exist_ok=True)
        (state / "compute_id").write_text(identity, encoding="ascii")
