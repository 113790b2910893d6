"""The agents that neutron schedules networks and routers to.

None of them runs. Their records give availability zones their names, and routers a host.
"""

import uuid

from neutron.objects import agent as agent_objects
from neutron_lib import constants, context
from oslo_config import cfg
from oslo_utils import timeutils

OPTIONS = (
    cfg.StrOpt(
        "agent_host",
        default="controller",
        help="Host of the agents that neutron lists; empty for a neutron without agents.",
    ),
    cfg.StrOpt(
        "availability_zone",
        default="nova",
        help="Availability zone of the DHCP agent and the L3 agent.",
    ),
)
# What upstream's agents say of themselves that the API's users look at.
AGENTS = (
    (constants.AGENT_TYPE_DHCP, "neutron-dhcp-agent", "dhcp_agent", True, {}),
    (
        constants.AGENT_TYPE_L3,
        "neutron-l3-agent",
        "l3_agent",
        True,
        {"agent_mode": "legacy", "handle_internal_only_routers": True},
    ),
    (constants.AGENT_TYPE_METADATA, "neutron-metadata-agent", "N/A", False, {}),
    (constants.AGENT_TYPE_OVS, "neutron-openvswitch-agent", "N/A", False, {}),
)


def register_options(conf):
    conf.register_opts(OPTIONS, "fakenet")


def report(conf):
    """Say that the agents are alive, once: ``agent_down_time`` is longer than tests take."""
    if not conf.agent_host:
        return
    admin = context.get_admin_context()
    now = timeutils.utcnow()
    for kind, binary, topic, zoned, configurations in AGENTS:
        key = {"agent_type": kind, "host": conf.agent_host}
        if agent_objects.Agent.update_objects(admin, {"heartbeat_timestamp": now}, **key):
            continue
        agent_objects.Agent(
            admin,
            id=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{binary}.{conf.agent_host}")),
            binary=binary,
            topic=topic,
            availability_zone=conf.availability_zone if zoned else None,
            started_at=now,
            created_at=now,
            heartbeat_timestamp=now,
            configurations=configurations,
            **key,
        ).create()
