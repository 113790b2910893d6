"""Where a page of the documentation can be read."""

from __future__ import annotations

import re
from importlib import metadata

from builder.version import DISTRIBUTION

# The label of its address among the URLs of pyproject.toml.
_LABEL = "documentation"


def address(page: str, site: str = "") -> str:
    """The page on the ``site`` of the documentation; its place in the project without one."""
    if not site:
        return f"docs/{page}"
    path, anchor, name = page.partition("#")
    return f"{site.rstrip('/')}/{re.sub(r'[.]md$', '.html', path)}{anchor}{name}"


def site() -> str:
    """The address of the site that the distribution names; empty if it names none."""
    for each in metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []:
        label, _, url = each.partition(",")
        if label.strip().lower() == _LABEL:
            return str(url.strip())
    return ""
