"""Renders HTML and text pages: one file each, without scripts and outside assets. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import jinja2

_HERE = Path(__file__).parent


def render(
    templates: Path,
    name: str,
    /,
    filters: Mapping[str, Callable[..., str]] | None = None,
    **values: Any,
) -> str:
    """The template ``name`` of the directory ``templates``, filled with ``values``.

    A template whose name ends with ``.html.j2`` escapes what it is given. ``filters`` are more
    than those of this module.
    """
    environment = _environment(templates)
    environment.filters.update(filters or {})
    return environment.get_template(name).render(**values)


def _environment(templates: Path) -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, _HERE]),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        size=size, duration=duration, short=short, many=many, indented=indented
    )
    return environment


def size(number: float) -> str:
    """A number of bytes for people."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(number) >= length:
            return f"{number / length:.1f} {unit}"
    return f"{number:.0f} B"


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def short(digest: str | None) -> str:
    """The beginning of a digest, as far as people compare them; a dash for none."""
    return digest.removeprefix("sha256:")[:12] if digest else "-"


def indented(text: str) -> str:
    """A block of Markdown's that shows ``text`` as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def many(number: int, one: str, more: str = "") -> str:
    """A number and its noun: 1 check, 2 checks."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"
