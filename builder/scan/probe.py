"""Probes a database for advisories on an image's ecosystems, with packages known to be bad.

An empty database is a valid one: Trivy finds nothing by it, and says nothing. So it is shown the
lowest version of packages that have had vulnerabilities in all their old versions. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from builder.scan.findings import Report

# Source packages of every release of Debian.
_SYSTEM = ("curl", "expat", "glibc", "gnutls28", "krb5", "linux", "openssl", "perl", "zlib")
_PYTHON = ("cryptography", "django", "jinja2", "pillow", "requests", "urllib3", "werkzeug")


@dataclass(frozen=True)
class Ecosystems:
    """Whose packages an image has: a distribution's, as Trivy names it, and maybe Python's."""

    family: str
    release: str
    python: bool = True

    @property
    def distribution(self) -> str:
        """Its name and number."""
        return f"{self.family} {self.release}"

    @property
    def names(self) -> dict[str, str]:
        """The name of each by Trivy's class of its packages."""
        return {"os-pkgs": self.distribution} | ({"lang-pkgs": "Python"} if self.python else {})


def ecosystems(image: Report) -> Ecosystems:
    """Ecosystems of an image, from Trivy's report on it; Trivy must know its distribution."""
    system = image["Metadata"]["OS"]
    classes = {each["Class"] for each in image["Results"] if each.get("Packages")}
    return Ecosystems(system["Family"], system["Name"], "lang-pkgs" in classes)


def sbom(asked: Ecosystems) -> bytes:
    """A CycloneDX document of the known bad packages (https://cyclonedx.org/docs/latest/json)."""
    purls = [f"pkg:deb/{asked.family}/{name}@0?distro={asked.family}" for name in _SYSTEM]
    purls += [f"pkg:pypi/{name}@0" for name in _PYTHON]
    system = {"type": "operating-system", "name": asked.family, "version": asked.release}
    components = [_component(purl) for purl in purls]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    return json.dumps({**document, "components": [system, *components]}).encode()


def _component(purl: str) -> dict[str, Any]:
    name = purl.split("@")[0].rpartition("/")[2]
    return {"type": "library", "bom-ref": purl, "name": name, "version": "0", "purl": purl}


def lacking(asked: Ecosystems, report: Report) -> list[str]:
    """Classes of packages without a vulnerability in Trivy's ``report`` on the probe's SBOM."""
    found = {each["Class"] for each in report.get("Results") or () if each.get("Vulnerabilities")}
    return [kind for kind in asked.names if kind not in found]
