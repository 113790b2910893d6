"""A message transport for a neutron without agents: what is sent reaches nobody.

Upstream's ``fake://`` keeps each message for ever. One question is answered, as by an L3 agent:
whether it has taken a router (neutron.api.rpc.agentnotifiers.l3_rpc_agent_api).
"""

import oslo_messaging
from neutron_lib.agent import topics
from oslo_messaging._drivers import impl_fake


class FakeNetTransport(impl_fake.FakeDriver):
    """Drops what it is given; any other question that waits for an answer fails at once."""

    def _send(self, target, _context, message, wait_for_reply=None, *_options, **_more):
        self._check_serialize(message)
        if wait_for_reply and target.topic != topics.L3_AGENT:
            # After a MessagingTimeout neutron would wait, and ask again.
            raise oslo_messaging.MessageDeliveryFailure(f"no agent listens to {target.topic}")
