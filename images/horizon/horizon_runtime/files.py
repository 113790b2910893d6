"""What the dashboard's local_settings.py takes from the container's environment."""

from __future__ import annotations

import json
import secrets

from contract import config
from contract.config import RUN
from contract.settings import Settings


def write(settings: Settings) -> None:
    own = RUN / "horizon"
    (own / "sessions").mkdir(mode=0o700, exist_ok=True)
    key = own / "secret_key"
    if not key.exists():
        # Kept: a session outlives a restart of the container.
        config.write(key, secrets.token_urlsafe(48))
    found = {
        "OPENSTACK_KEYSTONE_URL": settings.auth_url,
        "SECRET_KEY": key.read_text(encoding="utf-8"),
        "DEFAULT_SERVICE_REGIONS": {"*": settings.region},
    }
    config.write(own / "settings.json", json.dumps(found))
