"""The scheduled CI of each system: one description of its steps, a small template for each. Pure.

``steps.yaml.j2`` has the shell commands. The other templates say only how a system calls a job, an
artifact, a lock; so no command can differ between two systems by accident.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEMS = {"github": ".github/workflows/rebuild.yml", "gitlab": "ci/gitlab-ci.yml"}


def definition(system: str) -> str:
    """The whole scheduled CI of ``system``, one of ``SYSTEMS``, which says where it belongs."""
    return _render(f"{system}.yml.j2", system)


def child_pipeline(releases: Sequence[str]) -> str:
    """GitLab's pipeline with one job for each of ``releases``; it is never without a job."""
    return _render("gitlab-child.yml.j2", "gitlab", releases=releases)


def _render(template: str, system: str, **variables: Any) -> str:
    steps = YAML(typ="safe").load(_environment().get_template("steps.yaml.j2").render(name=system))
    return _environment().get_template(template).render(steps=steps, **variables)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        # ${{ }} is GitHub's own.
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  (YAML, not HTML)
    )
