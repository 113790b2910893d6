"""The values that files of the project may have: names, versions, dates, each checked."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_DOTTED_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]+([.-][a-z0-9]+)*")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"expected up to 63 of a-z, 0-9, and - between them, got {text!r}")
    return text


def _dotted_name(text: str) -> str:
    if not _DOTTED_NAME.fullmatch(text):
        raise ValueError(f"expected up to 63 of a-z, 0-9, and - or . between them, got {text!r}")
    return text


def _package(text: str) -> str:
    if canonicalize_name(text) != text or not _NAME.fullmatch(text):
        raise ValueError(f"expected a package's normalized name such as oslo-db, got {text!r}")
    return text


def _version_id(text: str) -> str:
    if not re.fullmatch(r"20\d\d\.[12]", text):
        raise ValueError(f"expected a release's number such as 2022.2, got {text!r}")
    return text


def _date(value: object) -> object:
    if isinstance(value, dt.date):
        return value
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"expected a date such as 2024-05-02, got {str(value)!r}")


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"expected an absolute path, got {text!r}")
    return text


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion:
        raise ValueError(f"expected an exact version such as 26.3.0, got {text!r}") from None
    return text


def _specifier(text: str) -> str:
    try:
        if not SpecifierSet(text):
            raise InvalidSpecifier
    except InvalidSpecifier:
        raise ValueError(f"expected a version range such as >=1.4,<2, got {text!r}") from None
    return text


Name = Annotated[str, AfterValidator(_name)]
DottedName = Annotated[str, AfterValidator(_dotted_name)]
Package = Annotated[str, AfterValidator(_package)]
Date = Annotated[dt.date, BeforeValidator(_date)]


def _words(text: str) -> str:
    if not text.split() or text != " ".join(text.split()):
        raise ValueError(f"expected a command such as notes-manage db sync, got {text!r}")
    return text


def _module(text: str) -> str:
    if not _MODULE.fullmatch(text):
        raise ValueError(f"expected a Python module such as notes.wsgi.api, got {text!r}")
    return text


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise ValueError(f"expected a-z, 0-9 and _ after a letter, got {text!r}")
    return text


Command = Annotated[str, AfterValidator(_words)]
Module = Annotated[str, AfterValidator(_module)]
Identifier = Annotated[str, AfterValidator(_identifier)]
# It is part of a regular expression of uwsgi's, which has no spaces.
PathPrefix = Annotated[str, Field(pattern=r"^(/[a-z0-9][a-z0-9-]*)+$")]
UrlPath = Annotated[str, Field(pattern=r"^(/[^/\s]+)*$")]
ExactVersion = Annotated[str, AfterValidator(_version)]
VersionRange = Annotated[str, AfterValidator(_specifier)]
VersionId = Annotated[str, AfterValidator(_version_id)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]


class Frozen(BaseModel):
    """A value of the catalogue: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
