"""What octavia may have in neutron.

Every load balancer, whoever asked for it, has a security group of octavia's own project. neutron's
default of ten would be all for a cloud. DevStack's plugin of octavia raises it, too.
"""

from __future__ import annotations

from contract.rest import Client
from contract.settings import Login

UNLIMITED = dict.fromkeys(("security_group", "security_group_rule", "port"), -1)


def ensure(admin: Client, login: Login) -> None:
    """Raises NotYetError while neutron does not answer, AnswerError when it refuses."""
    project = admin.get("/projects", name=login.project)["projects"][0]["id"]
    quotas = f"{admin.endpoint('network')}/v2.0/quotas/{project}"
    admin.send("PUT", quotas, {"quota": UNLIMITED})
