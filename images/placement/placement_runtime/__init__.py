"""What a container does for placement that its image.yaml cannot say."""

from __future__ import annotations


def database_url() -> str:
    """placement keeps its configuration to itself: it is read once more."""
    from oslo_config import cfg
    from placement import conf

    config = cfg.ConfigOpts()
    conf.register_opts(config)
    config([], project="placement")
    return str(config.placement_database.connection)
