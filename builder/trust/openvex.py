"""Reads what an OpenVEX document says, one line for each statement. Pure.

https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md: others' documents may have less.
"""

from __future__ import annotations

from urllib.parse import unquote

from pydantic import AliasPath, BaseModel, Field


class _Component(BaseModel):
    id: str = Field("", validation_alias="@id")


class _Product(_Component):
    subcomponents: tuple[_Component, ...] = ()


class _Statement(BaseModel):
    vulnerability: str = Field(validation_alias=AliasPath("vulnerability", "name"))
    status: str
    products: tuple[_Product, ...] = ()
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""
    status_notes: str = ""

    def line(self) -> str:
        """``CVE-1 in glance 31.1.0: affected: what can be done about it``."""
        parts = {_name(part.id): None for each in self.products for part in each.subcomponents}
        where = f" in {', '.join(parts)}" if parts else ""
        why = " ".join(filter(None, (self.impact_statement, self.action_statement)))
        words = (self.status, self.justification, why or self.status_notes)
        return " ".join(f"{self.vulnerability}{where}: {': '.join(filter(None, words))}".split())


class _Document(BaseModel):
    statements: tuple[_Statement, ...]


def lines(content: object) -> tuple[str, ...]:
    """A line for each statement of the document; raises ``ValueError`` for one that is none."""
    return tuple(each.line() for each in _Document.model_validate(content).statements)


def _name(purl: str) -> str:
    """Name and version in ``pkg:pypi/glance@31.1.0``; anything else as it is."""
    if not purl.startswith("pkg:"):
        return purl
    name, _, version = purl.partition("?")[0].rpartition("/")[2].partition("@")
    return unquote(f"{name} {version}".strip())
