"""Tabs: on a forge the headings between two comments, on the site one beside the other."""

from __future__ import annotations

import re

_TABS = re.compile(r"^<!-- tabs -->\n(.*?)^<!-- end of tabs -->\n", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#### (.+)\n", re.MULTILINE)


def tabs(text: str) -> str:
    """``text`` with each group of headings as tabs."""
    return _TABS.sub(lambda match: _group(match[1]), text)


def _group(text: str) -> str:
    before, *parts = _HEADING.split(text)
    if before.strip():
        raise ValueError(f"this stands in no tab: {before.strip()}")
    found = []
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        lines = (f"    {line}" if line else "" for line in body.strip().splitlines())
        found.append(f'=== "{title}"\n\n' + "\n".join(lines) + "\n")
    return "\n".join(found) + "\n"
