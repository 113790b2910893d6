"""The settings of the dashboard. What the container resolves at start is in SETTINGS; files in
/etc/horizon/local_settings.d win over both.
"""

import json
from pathlib import Path

RUN = Path("/run/horizon")
# Written at start; there is none while the image is built.
SETTINGS = RUN / "settings.json"

WEBROOT = "/dashboard/"
# Clients come by any name: a published port, or the one port of a cloud.
ALLOWED_HOSTS = ["*"]
# Containers ask each other; the public endpoints are for clients outside.
OPENSTACK_ENDPOINT_TYPE = "internalURL"
OPENSTACK_KEYSTONE_URL = "http://keystone:5000/v3"
SECRET_KEY = "none while the image is built"  # noqa: S105

# Without a database: each worker of the API finds a session in a file of its own.
SESSION_ENGINE = "django.contrib.sessions.backends.file"
SESSION_FILE_PATH = str(RUN / "sessions")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Made by the build, and served by uWSGI.
STATIC_ROOT = "/usr/share/horizon/static"
COMPRESS_OFFLINE = True

TIME_ZONE = "UTC"
# No server has a disk of its own here that would be worth keeping.
LAUNCH_INSTANCE_DEFAULTS = {"create_volume": False}
OPENSTACK_CINDER_FEATURES = {"enable_backup": True}
OPENSTACK_NEUTRON_NETWORK = {"default_dns_nameservers": []}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"openstack_auth": {"level": "INFO"}},
}

if SETTINGS.exists():
    globals().update(json.loads(SETTINGS.read_text(encoding="utf-8")))
