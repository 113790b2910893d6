"""A message transport for a neutron without agents: what is sent reaches nobody.

Upstream's ``fake://`` keeps each message for ever.
"""

import oslo_messaging
from oslo_messaging._drivers import impl_fake


class FakeNetTransport(impl_fake.FakeDriver):
    """Drops what it is given; a question that waits for an answer fails at once."""

    def _send(self, target, _context, message, wait_for_reply=None, *_options, **_more):
        self._check_serialize(message)
        if wait_for_reply:
            raise oslo_messaging.MessagingTimeout(f"no agent listens to {target.topic}")
