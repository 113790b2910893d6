"""What the product knows of a service stands in its folder, and its images get that as data."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from builder.catalogue import definitions
from builder.catalogue.config import load_catalogue, select_targets
from builder.catalogue.lock import read_lock
from builder.errors import ConfigError, UsageError
from builder.image.plan import make_plan
from builder.image.render import Provenance, Rendered, render
from builder.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.catalogue.model import Catalogue

ROOT = Path(__file__).parents[2]
# The code that every service shares, each with a name of a service that it says, and the reason.
ROOT_OF_IDENTITY = "every other service has its user, its catalog and its errors there"
ALLOWED = {
    "builder/cloud/clouds.py": {"keystone": "its container has the client, and is in every cloud"},
    "builder/pipeline.py": {"keystone": "it is what is tested of a platform that is emulated"},
    "builder/smoke/checks/test_containers.py": {"keystone": "a set without it has no client"},
    "builder/testing/connection.py": {"keystone": "its container has the client"},
    "builder/testing/faults.py": {"nova": "a message: nova holds a node down"},
    "builder/testing/resources.py": {"nova": "nova's name of its availability zone"},
    "builder/testing/tenant.py": {"nova": "nova's name of the service of a compute node"},
    "images/openstack/contract/catalog.py": {"keystone": ROOT_OF_IDENTITY},
    "images/openstack/contract/config.py": {"keystone": ROOT_OF_IDENTITY},
    "images/openstack/contract/environment.py": {
        "keystone": ROOT_OF_IDENTITY,
        "nova": "a message: COMPUTES says how many nova-compute run",
    },
    "images/openstack/contract/prepare.py": {"keystone": ROOT_OF_IDENTITY},
    "images/openstack/contract/rest.py": {"keystone": ROOT_OF_IDENTITY},
    "images/openstack/contract/services.py": {"keystone": ROOT_OF_IDENTITY},
    "images/openstack/contract/settings.py": {"keystone": ROOT_OF_IDENTITY},
    "images/openstack/contract/normalize_state.py": {"keystone": ROOT_OF_IDENTITY},
}
# The type of a service in the catalog is a word of the field: placement's is its name, too.
TYPES = ("placement",)


def said(path: Path, names: set[str]) -> set[str]:
    """The names of services in the code of a file; its comments and docstrings may have any."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    with_docstring = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, with_docstring)]
    docstrings = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    words = [word for node in ast.walk(tree) if id(node) not in docstrings for word in text(node)]
    found = re.findall(r"[a-z]+", " ".join(words).lower())
    return names & set(found)


def text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name | ast.Attribute):
        yield node.id if isinstance(node, ast.Name) else node.attr
    elif isinstance(node, ast.alias):
        yield node.name


def shared_code() -> list[Path]:
    return sorted([*ROOT.glob("builder/**/*.py"), *ROOT.glob("images/openstack/contract/**/*.py")])


@pytest.mark.parametrize("path", shared_code(), ids=lambda path: str(path.relative_to(ROOT)))
def test_code_that_services_share_names_none(path: Path, catalogue: Catalogue) -> None:
    allowed = ALLOWED.get(str(path.relative_to(ROOT)), {})
    assert said(path, set(catalogue.services) - set(TYPES)) == set(allowed)


def test_what_is_allowed_is_there() -> None:
    assert {ROOT / name for name in ALLOWED} <= set(shared_code())


def test_core_services_come_after_those_that_they_need(catalogue: Catalogue) -> None:
    assert definitions.core(catalogue) == (
        *("keystone", "glance", "cinder", "neutron", "placement", "nova"),
    )


def definition(catalogue: Catalogue, name: str) -> dict[str, Any]:
    content = definitions.definition(catalogue, catalogue.recipes[name])
    assert content
    found: dict[str, Any] = json.loads(content)
    return found


def test_a_role_is_spelled_out(catalogue: Catalogue) -> None:
    roles = definition(catalogue, "nova")["roles"]
    assert roles["nova-compute"] == {
        "main": "nova", "api": False, "programs": ["nova-compute"], "embeds": [], "backing": [],
    }  # fmt: skip
    whole = definition(catalogue, "aio")["roles"]["aio"]
    assert whole["embeds"] == ["keystone", "glance", "cinder", "neutron", "placement"]
    assert whole["programs"] == [
        *("cinder-scheduler", "cinder-volume", "cinder-backup"),
        *("nova-scheduler", "nova-conductor", "nova-compute"),
    ]


def test_what_is_left_out_follows_from_the_folder(catalogue: Catalogue) -> None:
    assert definition(catalogue, "keystone")["service"]["host"] == "keystone"
    assert definition(catalogue, "nova")["service"]["host"] == "controller"
    assert definition(catalogue, "keystone")["roles"]["keystone"]["main"] == "keystone"


def test_a_stage_of_the_build_has_no_definition(catalogue: Catalogue) -> None:
    assert definitions.definition(catalogue, catalogue.recipes["wheels"]) is None


def test_an_image_of_all_core_services_has_their_ports_and_volumes(catalogue: Catalogue) -> None:
    aio = catalogue.targets["aio"]
    assert aio.ports == (5000, 8774, 8776, 8778, 9292, 9696)
    assert {"/var/lib/mysql", "/run/placement", "/run/aio"} <= set(aio.volumes)


SERVICE = """\
service:
  type: share
  description: Shared file systems
  port: 8786
  applications:
    - {module: manila.wsgi.api, attribute: application}
"""


@pytest.mark.parametrize(
    ("good", "bad", "where", "message"),
    [
        ("port: 8786", "port: 99999", ":12:3: ", "service.port"),
        ("type: share\n", "typ: share\n", ":10:3: ", "service.typ"),
        ("manila.wsgi.api", "manila/wsgi", ":14:8: ", "expected a Python module"),
        ("    - {module: manila.wsgi.api, attribute: application}\n", "    []\n", ":13:3: ", ""),
        ("port: 8786", "port: 8786\n  databases: {share: {}}", ":13:14: ", "sync"),
    ],
)
def test_a_mistake_in_a_service_says_where(
    project: Path, good: str, bad: str, where: str, message: str
) -> None:
    file = project / "images/keystone/image.yaml"
    text = file.read_text(encoding="utf-8")
    lines = text.count("\n")
    file.write_text(text + SERVICE.replace(good, bad), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_catalogue(project)
    assert message in str(caught.value)
    line = int(where.split(":")[1]) - 9 + lines + 1
    assert f"image.yaml:{line}:" in str(caught.value), str(caught.value)


EXAMPLE = ROOT / "examples" / "service"


def rendered(catalogue: Catalogue, release: str) -> Rendered:
    plan = make_plan(catalogue, release)
    provenance = Provenance("0" * 40, None, "1.0", "debian", "sha256:1", (Platform.AMD64,))
    return render(catalogue, plan, read_lock(catalogue, release), provenance)


def test_a_service_from_elsewhere_changes_no_other_image(catalogue: Catalogue) -> None:
    with_it = load_catalogue(ROOT, [EXAMPLE])
    for release in catalogue.releases:
        before, after = rendered(catalogue, release), rendered(with_it, release)
        assert after.inputs.keys() - before.inputs.keys() == {"notes"}
        assert {name: after.inputs[name].digest for name in before.inputs} == {
            name: each.digest for name, each in before.inputs.items()
        }
        others = {f.path: f.content for f in after.files if f.path.parts[0] != "notes"}
        files = {file.path: file.content for file in before.files}
        del others[PurePosixPath("bake.json")], files[PurePosixPath("bake.json")]
        assert others == files


def test_a_folder_or_a_directory_of_folders(tmp_path: Path) -> None:
    assert load_catalogue(ROOT, [EXAMPLE / "notes"]).services.keys() >= {"notes", "nova"}
    assert load_catalogue(ROOT, [EXAMPLE, EXAMPLE / "notes"]).recipes["notes"].added
    with pytest.raises(UsageError, match=r"no image\.yaml in"):
        load_catalogue(ROOT, [tmp_path])


def test_two_folders_of_one_name_are_named(tmp_path: Path) -> None:
    for name in ("notes", "keystone"):
        shutil.copytree(EXAMPLE / "notes", tmp_path / name)
    with pytest.raises(UsageError, match=f"two recipes .*{EXAMPLE}/notes and {tmp_path}/notes"):
        load_catalogue(ROOT, [EXAMPLE, tmp_path / "notes"])
    with pytest.raises(UsageError, match=f"{ROOT}/images/keystone and {tmp_path}/keystone"):
        load_catalogue(ROOT, [tmp_path / "keystone"])


def test_what_is_chosen_by_default(catalogue: Catalogue) -> None:
    """A service that only some clouds have is named; one that the user adds is meant."""
    with_it = load_catalogue(ROOT, [EXAMPLE])
    assert set(select_targets(with_it, ())) == {*catalogue.with_optional().targets, "notes"}
    added = with_it.recipes["notes"].model_copy(update={"added": False})
    named = with_it.model_copy(update={"recipes": {**catalogue.recipes, "notes": added}})
    assert set(select_targets(named, ())) == set(catalogue.with_optional().targets)
    assert set(select_targets(named, ["notes"])) == {"mariadb", "keystone", "notes"}


def test_the_example_fits_on_two_pages() -> None:
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and ".pyc" not in path.name]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 100


def test_the_page_tells_the_example() -> None:
    page = (ROOT / "docs/how-to/add-a-service.md").read_text(encoding="utf-8")
    for path in EXAMPLE.rglob("*"):
        if path.suffix in (".yaml", ".j2", ".py"):
            assert f"\n{path.read_text(encoding='utf-8')}```\n" in page, path.name


FILES = """\
summary: Files
packages: [files]
service:
  type: %s
  description: Files
  port: 8786
  applications: [{module: files, attribute: application}]
"""


@pytest.mark.parametrize("type_", ["compute", "v2"])
def test_two_services_have_no_path_of_one_port_in_common(tmp_path: Path, type_: str) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "Dockerfile.j2").write_text("FROM openstack AS files\n", encoding="utf-8")
    for text, mistake in ((FILES % type_, True), (FILES % type_ + "  prefix: /files\n", False)):
        (folder / "image.yaml").write_text(text, encoding="utf-8")
        if mistake:
            with pytest.raises(ConfigError, match=f"the path /{type_} is taken, images/"):
                load_catalogue(ROOT, [folder])
        else:
            assert "files" in load_catalogue(ROOT, [folder]).services


def test_older_types_are_in_the_catalog_too(catalogue: Catalogue) -> None:
    from contract.services import SERVICES

    for name, service in catalogue.services.items():
        assert SERVICES[name].endpoint.types == (service.type, *service.aliases)
    assert SERVICES["cinder"].endpoint.types == ("block-storage", "volumev3")
