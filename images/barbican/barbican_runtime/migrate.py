"""Brings barbican's database to its newest schema.

Its own command asks for the address by another option in zed than in later releases.
"""

from __future__ import annotations

import os


def main() -> None:
    from barbican.model.migration import commands

    commands.upgrade(to_version="head", sql_url=os.environ["OS_DATABASE__CONNECTION"])


if __name__ == "__main__":
    main()
