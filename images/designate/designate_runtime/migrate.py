"""Brings designate's database to its newest schema.

Its own command takes the address from a group of options that no variable can name.
"""

from __future__ import annotations

import os


def main() -> None:
    from designate.manage.database import DatabaseCommands

    DatabaseCommands().sync(db_url=os.environ["OS_DATABASE__CONNECTION"])


if __name__ == "__main__":
    main()
