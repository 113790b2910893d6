"""The provenance's fields as SLSA and in-toto define them, and what they are made of.

https://slsa.dev/spec/v1.0/provenance, resource_descriptor.md and timestamp.md of in-toto's
https://github.com/in-toto/attestation/tree/main/spec/v1.
"""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from builder.image.input_hash import Inputs
from builder.image.plan import Image, Plan
from builder.image.render import Provenance
from builder.platforms import Platform
from builder.trust.attestations import Predicate
from builder.trust.provenance import Invocation, provenance, source_of

IMAGE = Image("nova-compute", "nova", "127.0.0.1:5001/openstack/openstack-nova-compute", "zed", "")
PLAN = Plan("zed", "127.0.0.1:5001", "openstack", (IMAGE,), (Platform.AMD64,), Platform.AMD64)
INPUTS = Inputs({"images/nova/Dockerfile.j2": "sha256:12"}, "sha256:34")
ORIGIN = Provenance(
    revision="0f" * 20,
    source="https://example.org/builder",
    tool="1.2.3",
    base_name="debian:bookworm",
    base_digest=f"sha256:{'a1' * 32}",
    platforms=(Platform.AMD64,),
)
RUN = Invocation(
    "20261124T143344-ab12",
    datetime(2026, 11, 24, 14, 33, 44, tzinfo=UTC),
    datetime(2026, 11, 24, 14, 40, 1, tzinfo=UTC),
)
ALGORITHMS = {"sha256": r"[0-9a-f]{64}", "gitCommit": r"[0-9a-f]{40}"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def predicate(origin: Provenance = ORIGIN) -> Any:
    document = provenance(PLAN, IMAGE, INPUTS, origin, "the lock\n", RUN)
    assert document.predicate is Predicate.PROVENANCE
    return json.loads(document.content)


def is_uri(text: str) -> bool:
    return bool(urlsplit(text).scheme) and not re.search(r"\s", text)


def check_descriptor(descriptor: dict[str, Any]) -> None:
    """One of uri, digest and content is needed; a digest is a map without algorithm prefixes."""
    fields = {"uri", "digest", "name", "downloadLocation", "mediaType", "content", "annotations"}
    assert set(descriptor) <= fields
    assert set(descriptor) & {"uri", "digest", "content"}
    assert is_uri(descriptor.get("uri", "x:"))
    for algorithm, value in descriptor.get("digest", {}).items():
        assert re.fullmatch(ALGORITHMS[algorithm], value)


def check_fields(found: dict[str, Any]) -> None:
    assert set(found) == {"buildDefinition", "runDetails"}
    definition, details = found["buildDefinition"], found["runDetails"]
    assert set(definition) == {
        *("buildType", "externalParameters", "internalParameters", "resolvedDependencies"),
    }
    assert is_uri(definition["buildType"])
    assert isinstance(definition["externalParameters"], dict)
    assert isinstance(definition["internalParameters"], dict)
    for descriptor in definition["resolvedDependencies"]:
        check_descriptor(descriptor)
    assert set(details) == {"builder", "metadata"}
    assert set(details["builder"]) <= {"id", "version", "builderDependencies"}
    assert is_uri(details["builder"]["id"])
    assert set(details["metadata"]) == {"invocationId", "startedOn", "finishedOn"}
    assert TIMESTAMP.fullmatch(details["metadata"]["startedOn"])
    assert TIMESTAMP.fullmatch(details["metadata"]["finishedOn"])


def test_the_fields_are_those_of_the_specification() -> None:
    check_fields(predicate())


def test_what_it_says_of_an_image() -> None:
    found = predicate()
    assert found["buildDefinition"]["externalParameters"] == {
        "release": "zed",
        "target": "nova-compute",
        "recipe": "images/nova/image.yaml",
        "platforms": ["linux/amd64"],
        "base": "debian:bookworm",
    }
    assert found["buildDefinition"]["internalParameters"] == {
        "inputHash": "sha256:34",
        "inputs": {"images/nova/Dockerfile.j2": "sha256:12"},
    }
    project = f"git+https://example.org/builder@{'0f' * 20}"
    assert found["buildDefinition"]["resolvedDependencies"] == [
        {"name": "project", "uri": project, "digest": {"gitCommit": "0f" * 20}},
        {
            "name": "locks/zed.txt",
            "uri": f"{project}#locks/zed.txt",
            "digest": {"sha256": hashlib.sha256(b"the lock\n").hexdigest()},
        },
        {"name": "debian:bookworm", "digest": {"sha256": "a1" * 32}},
    ]
    assert found["runDetails"] == {
        "builder": {
            "id": "https://example.org/builder/blob/main/docs/reference/provenance.md#builder",
            "version": {"builder": "1.2.3"},
        },
        "metadata": {
            "invocationId": "20261124T143344-ab12",
            "startedOn": "2026-11-24T14:33:44Z",
            "finishedOn": "2026-11-24T14:40:01Z",
        },
    }


def test_without_a_checkout_there_is_no_commit() -> None:
    found = predicate(replace(ORIGIN, revision="unknown"))
    check_fields(found)
    project, lock, _ = found["buildDefinition"]["resolvedDependencies"]
    assert project == {"name": "project", "uri": "git+https://example.org/builder"}
    assert lock["uri"] == "git+https://example.org/builder#locks/zed.txt"


def test_without_a_source_none_is_named() -> None:
    for revision, commit in (("0f" * 20, ["0f" * 20]), ("unknown", [])):
        origin = replace(ORIGIN, source=None, revision=revision)
        found = predicate(origin)
        check_fields(found)
        *project, lock, base = found["buildDefinition"]["resolvedDependencies"]
        assert project == [{"name": "project", "digest": {"gitCommit": each}} for each in commit]
        assert lock.keys() == {"name", "digest"}
        assert base["name"] == "debian:bookworm"
        text = json.dumps(found)
        assert "None" not in text
        assert "://" not in text
        page = found["buildDefinition"]["buildType"].removesuffix("#build-type-v1")
        assert found["runDetails"]["builder"]["id"] == f"{page}#builder"
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", page)
        assert source_of(provenance(PLAN, IMAGE, INPUTS, origin, "", RUN)) is None


def test_the_source_that_it_names() -> None:
    found = source_of(provenance(PLAN, IMAGE, INPUTS, ORIGIN, "", RUN))
    assert found == f"git+https://example.org/builder@{'0f' * 20}"


def test_the_page_about_it_says_the_name_that_it_has_without_a_source() -> None:
    page = Path(__file__).parents[2] / "docs/reference/provenance.md"
    kind = predicate(replace(ORIGIN, source=None))["buildDefinition"]["buildType"]
    assert f"`{kind}`" in page.read_text(encoding="utf-8")


def test_a_registry_image_as_the_base() -> None:
    for reference, digest in (
        ("example.org/debian:12", None),
        (f"example.org/debian@sha256:{'b2' * 32}", {"sha256": "b2" * 32}),
    ):
        found = predicate(replace(ORIGIN, base_name=reference, base_digest=reference))
        check_fields(found)
        *_, base = found["buildDefinition"]["resolvedDependencies"]
        assert base["uri"] == f"oci://{reference}"
        assert base.get("digest") == digest
