"""heat asks keystone in its own name whether a signed request is good."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from contract.patches import Releases

REPLACES = ("heat.api.aws.ec2token:requests",)
RELEASES = Releases("2022.2", "2024.2", "heat 24.1 and later does so itself")
REASON = (
    "Since the fix of CVE-2025-65073 keystone answers only a service. Without a token heat refuses "
    "every signal of a stack's resource with 403."
)
GROUP = "ec2authtoken"


def apply() -> None:
    from heat.api.aws import ec2token

    ec2token.requests = WithToken(ec2token.requests)


class WithToken:
    """In the place of requests: what is posted has a token of heat's own."""

    def __init__(self, requests: Any) -> None:
        self.requests = requests

    @cached_property
    def session(self) -> Any:
        from keystoneauth1 import loading
        from keystoneauth1.session import Session
        from oslo_config import cfg

        loading.register_auth_conf_options(cfg.CONF, GROUP)
        own = cfg.CONF[GROUP]
        auth = loading.load_auth_from_conf_options(cfg.CONF, GROUP)
        return Session(auth, verify=own.ca_file or not own.insecure)

    def post(self, url: str, *, headers: dict[str, str], **given: Any) -> Any:
        own = {"X-Auth-Token": self.session.get_token()}
        return self.requests.post(url, headers={**headers, **own}, **given)
