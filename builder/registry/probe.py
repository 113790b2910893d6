"""Asks a registry before a build what it would refuse after it.

A probe leaves nothing behind. An upload that was begun is cancelled, a manifest that was put is
deleted; where the registry forbids that, none is put.
"""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from builder.errors import PublishError
from builder.registry.artifacts import write_note
from builder.registry.http import connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.registry.repository import Repository

log = logging.getLogger(__name__)

_KIND = "application/vnd.openstack.builder.probe.v1+json"


def is_missing(repository: Repository) -> bool:
    """Whether a push would fail for want of this repository; raises ``PublishError``."""
    return not repository.is_there() and not repository.takes_uploads()


@dataclass(frozen=True)
class Refusal:
    """The error of a registry that refuses artifacts, or one that only keeps their tag."""

    error: PublishError
    keeps_tags: bool


def refusal(repository: Repository) -> Refusal | None:
    """What is refused to two artifacts, one after the other under one tag.

    Nothing is asked of a repository that is not there. Raises ``PublishError``.
    """
    if not repository.is_there() or not repository.can_delete():
        return None
    tag = f"_probe.{secrets.token_hex(8)}"
    put: list[str] = []
    try:
        put.append(write_note(repository, tag, _KIND, "first"))
        put.append(write_note(repository, tag, _KIND, "second"))
    except PublishError as error:
        return Refusal(error, keeps_tags=bool(put))
    finally:
        _remove(repository, tag, put)
    return None


def _remove(repository: Repository, tag: str, put: Iterable[str]) -> None:
    for digest in put:
        try:
            if repository.delete(digest):
                continue
            reason = "the registry forbids it"
        except PublishError as error:
            reason = error.message
        log.warning("%s:%s cannot be removed: %s", repository.repository, tag, reason)


def is_harbor(registry: str) -> bool:
    """Whether it is a Harbor, whose immutable tags nobody can delete."""
    answer = _get(registry, "/api/v2.0/ping", password=False)
    return answer is not None and answer.ok and answer.text.strip().lower() == "pong"


def kept_by_harbor(registry: str, tags: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Of the ``tags`` of each repository, ``PROJECT/NAME``, those that a rule keeps from moving.

    https://goharbor.io/docs/2.13.0/working-with-projects/working-with-images/create-tag-immutability-rules/
    """
    rules = {project: _rules(registry, project) for project in {_project(name) for name in tags}}
    found = {
        name: [
            tag for tag in moving if any(_keeps(each, name, tag) for each in rules[_project(name)])
        ]
        for name, moving in tags.items()
    }
    return {name: kept for name, kept in found.items() if kept}


def _project(name: str) -> str:
    return name.partition("/")[0]


def _rules(registry: str, project: str) -> list[dict[str, Any]]:
    path = f"/api/v2.0/projects/{quote(project)}/immutabletagrules"
    answer = _get(registry, path, password=True)
    if answer is None or not answer.ok:
        log.info("%s does not show its rules for immutable tags to this user", registry)
        return []
    found: list[dict[str, Any]] = answer.json()
    return [each for each in found if not each.get("disabled")]


def _keeps(rule: Mapping[str, Any], name: str, tag: str) -> bool:
    repositories = rule.get("scope_selectors", {}).get("repository", [])
    inside = name.partition("/")[2]
    return all(_selects(each, inside) for each in repositories) and all(
        _selects(each, tag) for each in rule.get("tag_selectors", [])
    )


def _selects(selector: Mapping[str, Any], name: str) -> bool:
    matches = bool(_pattern(selector["pattern"]).fullmatch(name))
    return matches != str(selector["decoration"]).lower().endswith("excludes")


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of doublestar: ``*``, ``**``, ``?`` and ``{a,b}``."""
    parts = re.split(r"(\*\*|[*?{},])", text)
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}
    depth, found = 0, []
    for part in parts:
        depth += (part == "{") - (part == "}")
        is_sign = part in signs and (part != "," or depth)
        found.append(signs[part] if is_sign else re.escape(part))
    return re.compile("".join(found))


def _get(registry: str, path: str, *, password: bool) -> requests.Response | None:
    try:
        return connection(registry).get(path, password=password)
    except requests.RequestException:
        return None
