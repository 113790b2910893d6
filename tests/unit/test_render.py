"""Templates to Dockerfiles and the bake file, and the mistakes that a template can hold."""

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.catalogue import backports
from builder.catalogue.config import load_catalogue
from builder.catalogue.lock import lock_path
from builder.catalogue.model import Catalogue
from builder.errors import ConfigError
from builder.image.plan import make_plan
from builder.image.render import Provenance, Rendered, render, write
from builder.platforms import Platform

PROVENANCE = Provenance(
    revision="0" * 40,
    source="https://example.org/builder",
    tool="1.2.3",
    base_name="debian:bookworm",
    base_digest="sha256:00",
    platforms=(Platform.AMD64,),
)


def rendered(
    catalogue: Catalogue, base_image: str | None = None, provenance: Provenance = PROVENANCE
) -> Rendered:
    lock = lock_path(catalogue, "zed").read_text(encoding="utf-8")
    return render(catalogue, make_plan(catalogue, "zed"), lock, provenance, base_image=base_image)


def texts(result: Rendered) -> dict[str, str]:
    return {str(file.path): file.content.decode(errors="replace") for file in result.files}


def bake(result: Rendered) -> dict[str, Any]:
    found = json.loads(texts(result)["bake.json"])
    assert isinstance(found, dict)
    return found


def small(project: Path) -> Rendered:
    return rendered(load_catalogue(project))


def failure(project: Path) -> str:
    catalogue = load_catalogue(project)
    with pytest.raises(ConfigError) as caught:
        rendered(catalogue)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{project}/", "")


@pytest.fixture(scope="module")
def real(catalogue: Catalogue) -> Rendered:
    """This repository's zed, rendered."""
    return rendered(catalogue)


def test_twice_the_same_bytes(catalogue: Catalogue, real: Rendered) -> None:
    assert rendered(catalogue) == real
    assert bake(real)["target"]


def test_the_graph_is_what_the_dockerfiles_name(real: Rendered) -> None:
    files, targets = texts(real), bake(real)["target"]
    for name, target in targets.items():
        if name in ("rootfs", "nova-compute"):
            continue
        recipe = target["context"].removeprefix("${DIR}/")
        lines = [
            line
            for line in files[f"{recipe}/Dockerfile"].splitlines()
            if not line.lstrip().startswith("#")
        ]
        stages = {
            word.split()[-1] for word in lines if re.match(r"FROM (--\S+ )?\S+ AS \S+$", word)
        }
        starts = [re.match(r"FROM (?:--\S+ )?(\S+)", line) for line in lines]
        used = {start[1] for start in starts if start}
        used |= set(re.findall(r"\bfrom=([a-z0-9-]+)", "\n".join(lines)))
        assert set(target["contexts"]) == used - stages - {"scratch"}
        assert target["contexts"] == {used: f"target:{used}" for used in target["contexts"]}
        assert set(target["contexts"]) <= targets.keys()


def test_a_stage_waits_only_for_what_itself_stands_on(real: Rendered) -> None:
    targets = bake(real)["target"]
    assert targets["nova-compute"]["contexts"].keys() == {"openstack", "wheels"}
    assert targets["nova-controller"]["contexts"].keys() > {"openstack", "wheels", "neutron"}


def test_nothing_in_the_graph_waits_for_itself(real: Rendered) -> None:
    waits = {name: set(each.get("contexts", ())) for name, each in bake(real)["target"].items()}
    while ready := {name for name, needed in waits.items() if not needed}:
        waits = {name: needed - ready for name, needed in waits.items() if name not in ready}
    assert waits == {}


def test_the_secret_is_for_those_who_ask_and_all_that_stand_on_them(real: Rendered) -> None:
    """A step runs with the secrets of whichever target gets to it first."""
    files, targets = texts(real), bake(real)["target"]
    asking = {path.split("/")[0] for path, text in files.items() if "type=secret,id=ca" in text}
    assert asking == {"compilers", "wheels"}
    given = {name for name, target in targets.items() if "secret" in target}
    assert given == set(targets) - {
        "rootfs",
        "base",
        "python",
        "mariadb",
        "rabbitmq",
        "servers",
        "clock",
    }
    assert {tuple(targets[name]["secret"]) for name in given} == {("id=ca,src=${CA_BUNDLE}",)}


def test_no_dockerfile_knows_where_certificates_are(real: Rendered) -> None:
    dockerfiles = {path: text for path, text in texts(real).items() if path.endswith("Dockerfile")}
    assert len(dockerfiles) >= 9
    for text in dockerfiles.values():
        assert not re.search(r"/etc/ssl|ca-certificates\.crt|\.pem\b", text)


SHARED = ("rootfs", "base", "python", "compilers", "mariadb", "rabbitmq", "servers", "clock")


def test_only_images_to_publish_leave_the_build(catalogue: Catalogue, real: Rendered) -> None:
    found = bake(real)
    midnight = dt.datetime.combine(catalogue.releases["zed"].date, dt.time(), dt.UTC)
    assert (
        found["group"]["default"]["targets"]
        == list(catalogue.with_optional().targets)
        == list(real.inputs)
    )
    for name, target in found["target"].items():
        published = name in catalogue.with_optional().targets
        exporter = "type=docker" if published else "type=cacheonly"
        assert target["output"] == [exporter]
        assert target.get("tags", []) == (
            [f"127.0.0.1:5001/openstack/openstack-{name}:zed"] if published else []
        )
        epoch = "1686355200" if name in SHARED else f"{midnight.timestamp():.0f}"
        assert target["args"] == {"SOURCE_DATE_EPOCH": epoch}
        assert target["attest"] == ["type=provenance,disabled=true"]


def test_labels(catalogue: Catalogue, real: Rendered) -> None:
    labels = bake(real)["target"]["keystone"]["labels"]
    assert labels.pop("org.openstack.builder.input-hash") == real.inputs["keystone"].digest
    applied = backports.read_label(labels.pop(backports.LABEL))
    assert {each.package for each in applied} == {"keystone"}
    assert any(each.fixes("CVE-2025-65073", "keystone") for each in applied)
    assert labels == {
        "org.opencontainers.image.title": "keystone's API under uWSGI",
        "org.opencontainers.image.version": "2022.2",
        "org.opencontainers.image.created": f"{catalogue.releases['zed'].date}T00:00:00Z",
        "org.opencontainers.image.revision": "0" * 40,
        "org.opencontainers.image.source": "https://example.org/builder",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": "debian:bookworm",
        "org.opencontainers.image.base.digest": "sha256:00",
        "org.openstack.release": "zed",
        "org.openstack.release.status": "end-of-life",
        "org.openstack.builder.version": "1.2.3",
    }


def test_the_source_decides_no_content(project: Path) -> None:
    """Two clones with other remotes do not make each other's images stale."""
    catalogue, name = load_catalogue(project), "org.opencontainers.image.source"
    named = rendered(catalogue)
    nameless = rendered(catalogue, provenance=replace(PROVENANCE, source=None))
    assert nameless.inputs == named.inputs
    before, after = (bake(each)["target"]["keystone"]["labels"] for each in (named, nameless))
    assert before.pop(name) == "https://example.org/builder"
    assert after == before


def test_the_source_of_a_base_image_is_not_that_of_the_images(project: Path) -> None:
    """An image has the labels of the one that it stands on, but for those of its own."""
    reference = "quay.io/team/debian:12"
    origin = replace(PROVENANCE, source=None, base_name=reference, base_digest=reference)
    labels = bake(rendered(load_catalogue(project), reference, origin))["target"]["keystone"]
    assert labels["labels"]["org.opencontainers.image.source"] == ""


def test_a_label_is_no_template_of_bake(project: Path) -> None:
    labels = bake(small(project))["target"]["nova-compute"]["labels"]
    assert labels["org.opencontainers.image.title"] == "nova-compute $${on} %%{FakeDriver}"


def test_the_lock_is_a_file_of_the_build(project: Path) -> None:
    files = texts(small(project))
    assert files["wheels/lock.txt"] == (project / "locks/zed.txt").read_text()
    assert files["wheels/constraints.txt"] == "keystone==22.0.2\nnova==26.3.0\noslo-db==12.1.0\n"


def test_a_base_image_takes_the_place_of_the_root_file_system(catalogue: Catalogue) -> None:
    with_base = bake(rendered(catalogue, "quay.io/team/debian:12"))["target"]
    without = bake(rendered(catalogue))["target"]
    assert without.keys() - with_base.keys() == {"rootfs"}
    assert with_base["base"]["contexts"] == {"rootfs": "docker-image://quay.io/team/debian:12"}
    assert "target:rootfs" not in json.dumps(with_base)


def test_a_base_image_for_every_recipe_that_stands_on_the_root(project: Path) -> None:
    (project / "images/keystone/Dockerfile.j2").write_text("FROM rootfs AS keystone\n")
    targets = bake(rendered(load_catalogue(project), "debian:12"))["target"]
    assert targets["keystone"]["contexts"] == {"rootfs": "docker-image://debian:12"}


def test_comments_and_commands_are_no_references(project: Path) -> None:
    targets = bake(small(project))["target"]
    assert targets["nova-compute"]["contexts"] == {"base": "target:base"}
    assert targets["nova-controller"]["contexts"] == {
        "base": "target:base",
        "keystone": "target:keystone",
    }
    assert "secret" not in targets["nova-compute"]


@pytest.mark.parametrize(
    "mount", ["type=secret,id=ca", "type=secret,required=true,id=ca", "id=ca,type=secret,mode=0400"]
)
def test_a_secret_in_any_order(project: Path, mount: str) -> None:
    path = project / "images/keystone/Dockerfile.j2"
    path.write_text(f"FROM base AS keystone\nRUN --mount={mount} true\n")
    assert bake(small(project))["target"]["keystone"]["secret"] == ["id=ca,src=${CA_BUNDLE}"]


def test_another_secret_is_not_the_certificates(project: Path) -> None:
    path = project / "images/keystone/Dockerfile.j2"
    path.write_text("FROM base AS keystone\nRUN --mount=type=secret,id=ca-key true\n")
    assert "secret" not in bake(small(project))["target"]["keystone"]


def test_write(project: Path, tmp_path: Path) -> None:
    result = small(project)
    write(result, tmp_path / "out")
    found = {
        str(path.relative_to(tmp_path / "out")): path.read_text()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == texts(result)
    assert "pip install nova==26.3.0" in found["nova/Dockerfile"]
    assert (tmp_path / "out/keystone/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/keystone/Dockerfile").stat().st_mode & 0o777 == 0o644


def test_what_is_not_part_of_a_recipe_is_left_out(project: Path) -> None:
    for name in ("__pycache__", ".mypy_cache", "etc/.ruff_cache"):
        cache = project / "images/keystone" / name
        cache.mkdir(parents=True)
        (cache / "run.pyc").write_bytes(b"\xff")
    paths = {str(file.path) for file in small(project).files}
    assert paths == {
        *("base/Dockerfile", "keystone/Dockerfile", "keystone/run", "nova/Dockerfile"),
        *("wheels/lock.txt", "wheels/constraints.txt", "wheels/excludes.txt", "bake.json"),
    }


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("FROM base AS keystone\n{% if %}\n", ":2: Expected an expression"),
        ("FROM base AS keystone\n\n{{ versions[ }}\n", ":3: unexpected '}'"),
        ("FROM base AS keystone\n{% for x in y %}\n", ":2: Unexpected end of template"),
        ("FROM base AS keystone\n{{ 1 | shout }}\n", ":2: No filter named 'shout'."),
        (
            "FROM base AS keystone\n\n{{ relase.suite }}\n",
            ":3: 'relase' is undefined\nhint: variables: suite, image, site_packages, release, ",
        ),
        ("FROM base AS keystone\n{{ versions.glance }}\n", ":2: 'dict object' has no attribute"),
        ("FROM base AS keystone\n{{ pins(['glance']) }}\n", (
            ":2: the lock has no package glance\nhint: add it to packages in "
            "images/keystone/image.yaml, then run: builder lock --release zed"
        )),
        ("FROM base AS keystone\n{{ 1 / 0 }}\n", ":2: division by zero"),
        ("FROM base AS keystone\n{{ pins(1) }}\n", ":2: 'int' object is not iterable"),
        ("FROM base AS keystone\n{% include 'other' %}\n", ":2: 'other' not found in search path"),
        ("FROM base AS keystone\nCOPY --from=baes / /\n", (
            ": line 2 of the rendered Dockerfile uses the unknown stage baes\n"
            "hint: did you mean base? (known: rootfs, base, keystone, nova-controller, "
        )),
        ("FROM debian AS keystone\n", ": line 1 of the rendered Dockerfile uses the unknown stage"),
        ("FROM base AS keystone\nRUN --mount=type=bind,from=x true\n", ": line 2 of the rendered"),
        ("FROM base AS keystoen\n", (
            ": there is no stage keystone, which image.yaml publishes\nhint: did you mean keystoen?"
        )),
        ("FROM base\n", ": there is no stage keystone, which image.yaml publishes\nhint: known: n"),
        ("", ": there is no stage keystone"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_template(project: Path, template: str, expected: str) -> None:
    (project / "images/keystone/Dockerfile.j2").write_text(template)
    assert failure(project).startswith(f"images/keystone/Dockerfile.j2{expected}")


def test_a_template_that_is_not_utf8(project: Path) -> None:
    (project / "images/keystone/Dockerfile.j2").write_bytes(b"FROM base AS keystone\n# \xe9\n")
    assert failure(project) == "images/keystone/Dockerfile.j2: is not UTF-8"


def test_another_template_beside_the_dockerfile(project: Path) -> None:
    (project / "images/keystone/etc").mkdir()
    path = project / "images/keystone/etc/keystone.conf.j2"
    path.write_text("version = {{ versions['keystone'] }}\n")
    assert texts(small(project))["keystone/etc/keystone.conf"] == "version = 22.0.2\n"
    path.write_text("{{ nothing }}\n")
    assert failure(project).startswith("images/keystone/etc/keystone.conf.j2:1: 'nothing' is und")


def test_provenance_reaches_every_image(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue, "zed")
    lock = lock_path(catalogue, "zed").read_text(encoding="utf-8")
    found = bake(render(catalogue, plan, lock, replace(PROVENANCE, revision="f" * 40)))["target"]
    revisions = {
        found[name]["labels"]["org.opencontainers.image.revision"]
        for name in catalogue.with_optional().targets
    }
    assert revisions == {"f" * 40}


def test_a_shared_template_knows_no_release(project: Path) -> None:
    settings = project / "images/base/image.yaml"
    settings.write_text(f"{settings.read_text()}shared: true\n")
    (project / "images/base/Dockerfile.j2").write_text("FROM rootfs\nRUN {{ suite }}\n")
    assert "RUN bookworm\n" in texts(small(project))["base/Dockerfile"]
    (project / "images/base/Dockerfile.j2").write_text("FROM rootfs\nRUN {{ release.suite }}\n")
    assert failure(project).startswith("images/base/Dockerfile.j2:2: 'release' is undefined")
