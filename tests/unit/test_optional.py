"""Services that are in no set unless they are asked for: each adds files, and changes none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from builder.catalogue import lock
from builder.catalogue.config import load_catalogue, select_targets, targets_of
from builder.cli import cli
from builder.errors import LockError, UsageError
from builder.image.plan import make_plan
from builder.image.prepare import prepare
from builder.image.render import Provenance, Rendered, render
from builder.options import Options, Selection
from builder.platforms import Platform

if TYPE_CHECKING:
    from builder.catalogue.model import Catalogue

ROOT = Path(__file__).parents[2]
RELEASE = "zed"
PROVENANCE = Provenance("0" * 40, None, "1.0", "debian", "sha256:1", (Platform.AMD64,))
OPTIONAL = load_catalogue(ROOT).optional


def rendered(catalogue: Catalogue, *images: str) -> Rendered:
    base = lock.read_lock(catalogue, RELEASE)
    targets = select_targets(catalogue, images) if images else None
    plan = make_plan(catalogue, RELEASE, targets)
    more = {
        name: lock.read_lock_of(catalogue, RELEASE, name, base) for name in plan.optional(catalogue)
    }
    return render(catalogue, plan, base, PROVENANCE, more_locks=more)


def files(found: Rendered) -> dict[PurePosixPath, bytes]:
    return {file.path: file.content for file in found.files if file.path.name != "bake.json"}


def bake(found: Rendered) -> Any:
    return json.loads(next(f.content for f in found.files if f.path.name == "bake.json"))


def test_no_release_is_none_unless_the_newest_is_asked_for() -> None:
    """`build --stale` goes on with the releases that are stale, and they may be none."""
    assert prepare(Options(Selection(ROOT))).plans == ()
    (plan,) = prepare(Options(Selection(ROOT, newest=True))).plans
    assert plan.release == list(load_catalogue(ROOT).releases)[-1]


def test_they_are_in_no_set_by_default(catalogue: Catalogue) -> None:
    assert OPTIONAL
    prepared = prepare(Options(Selection(ROOT, (RELEASE,))))
    assert not {image.recipe for image in prepared.plans[0].images} & set(OPTIONAL)
    assert prepared.more_locks == {RELEASE: {}}
    everything = prepare(Options(Selection(ROOT, (RELEASE,), all_services=True)))
    here = catalogue.for_release(RELEASE)
    assert {image.target for image in everything.plans[0].images} == set(here.targets)
    assert everything.more_locks[RELEASE].keys() == set(here.optional)
    assert everything.versions(RELEASE).items() > prepared.versions(RELEASE).items()


@pytest.mark.parametrize("name", OPTIONAL)
def test_one_that_is_asked_for_changes_no_other_image(catalogue: Catalogue, name: str) -> None:
    without = rendered(catalogue.with_optional())
    assert files(rendered(catalogue)) == files(without)
    with_it = rendered(catalogue, name)
    assert files(without).items() <= files(with_it).items()
    for target, inputs in with_it.inputs.items():
        if target in without.inputs:
            assert inputs.digest == without.inputs[target].digest
        else:
            assert f"locks/{name}/{RELEASE}.txt" in inputs.values


@pytest.mark.parametrize("name", OPTIONAL)
def test_it_has_wheels_of_its_own(catalogue: Catalogue, name: str) -> None:
    targets = bake(rendered(catalogue, name))["target"]
    contexts = targets[catalogue.api_of(name)]["contexts"]
    assert contexts["wheels"] == f"target:wheels-{name}"
    assert contexts["openstack"] == "target:openstack"
    assert targets[f"wheels-{name}"]["contexts"]["wheels"] == "target:wheels"


@pytest.mark.parametrize("name", OPTIONAL)
def test_it_has_databases_of_its_own_or_none(catalogue: Catalogue, name: str) -> None:
    found = rendered(catalogue, name)
    targets = bake(found)["target"]
    contexts = targets[catalogue.api_of(name)]["contexts"]
    if not catalogue.services[name].databases:
        assert "schema" not in contexts
        assert f"schema-{name}" not in targets
        return
    assert contexts["schema"] == f"target:schema-{name}"
    if not catalogue.services[name].databases:
        assert "schema" not in contexts
        return
    assert contexts["schema"] == f"target:schema-{name}"
    assert targets[f"schema-{name}"]["contexts"]["wheels"] == f"target:wheels-{name}"
    assert targets["schema"]["contexts"]["wheels"] == "target:wheels"
    services = {path.parts[2] for path in files(found) if path.parts[:2] == ("schema", "services")}
    own = {p.parts[2] for p in files(found) if p.parts[:2] == (f"schema-{name}", "services")}
    assert (own, own & services) == ({name}, set())


def test_a_lock_has_only_what_the_release_s_has_not(catalogue: Catalogue) -> None:
    for release in catalogue.releases:
        base = lock.read_lock(catalogue, release)
        for name in catalogue.for_release(release).optional:
            own = lock.locked_versions(lock.read_lock_of(catalogue, release, name, base))
            assert not own.keys() & lock.locked_versions(base).keys()
            wanted = catalogue.recipes[name].packages[0]
            assert own[wanted] == catalogue.releases[release].services[wanted]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("images", "locks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "versions.yaml", tmp_path)
    return tmp_path


def refused(root: Path, base: str) -> str:
    with pytest.raises(LockError) as caught:
        lock.read_lock_of(load_catalogue(root), RELEASE, OPTIONAL[0], base)
    return str(caught.value).replace(f"{root}/", "")


def test_a_lock_that_something_has_left_behind(copy: Path) -> None:
    name = OPTIONAL[0]
    path = copy / "locks" / name / f"{RELEASE}.txt"
    hint = f"\nhint: run: builder lock --release {RELEASE} --service {name}"
    shown = f"locks/{name}/{RELEASE}.txt"
    base = (copy / "locks" / f"{RELEASE}.txt").read_text(encoding="utf-8")
    said = f"{shown}:1: the lock does not match locks/{RELEASE}.txt any more{hint}"
    assert refused(copy, f"{base}six==1\n") == said
    versions, text = copy / "versions.yaml", (copy / "versions.yaml").read_text(encoding="utf-8")
    old = load_catalogue(copy).releases[RELEASE].services[name]
    versions.write_text(text.replace(f"{name}: {old}", f"{name}: 1.2.3"), encoding="utf-8")
    where = f"versions.yaml or images/{name}/image.yaml any more"
    assert refused(copy, base) == f"{shown}:1: the lock does not match {where}{hint}"
    path.write_text(path.read_text(encoding="utf-8") + "six==1\n", encoding="utf-8")
    assert refused(copy, base) == f"{shown}: the lock was changed by hand{hint}"
    path.unlink()
    assert refused(copy, base) == f"{shown}: there is no lock for {name} of {RELEASE}{hint}"


def test_an_override_of_one_service_changes_no_other_lock(copy: Path) -> None:
    name, *others = OPTIONAL
    path = copy / "versions.yaml"
    text = path.read_text(encoding="utf-8")
    own = '      six:\n        version: "==1"\n        reason: a reason that is long\n'
    base = (copy / "locks" / f"{RELEASE}.txt").read_text(encoding="utf-8")
    path.write_text(
        text.replace("    overrides:\n", f"    overrides:\n{own}        service: {name}\n", 1),
        encoding="utf-8",
    )
    changed = load_catalogue(copy)
    assert lock.read_lock(changed, RELEASE) == base
    for other in others:
        lock.read_lock_of(changed, RELEASE, other, base)
    assert "the lock does not match versions.yaml" in refused(copy, base)
    path.write_text(text.replace("    overrides:\n", f"    overrides:\n{own}", 1), encoding="utf-8")
    with pytest.raises(LockError):
        lock.read_lock(load_catalogue(copy), RELEASE)


def test_a_release_without_it_says_which_have_it(catalogue: Catalogue) -> None:
    name = OPTIONAL[0]
    zed = catalogue.releases[RELEASE]
    services = {key: value for key, value in zed.services.items() if key != name}
    less = zed.model_copy(update={"services": services})
    releases = {RELEASE: less, "2026.2": catalogue.releases["2026.2"]}
    smaller = catalogue.model_copy(update={"releases": releases})
    with pytest.raises(UsageError) as caught:
        targets_of(smaller, RELEASE, [name])
    assert str(caught.value) == f"{RELEASE} has no image {name}\nhint: these have: 2026.2"
    assert name in targets_of(smaller, "2026.2", [name])


def test_a_lock_of_a_service_that_is_not_optional() -> None:
    found = CliRunner().invoke(cli, ["lock", "--release", RELEASE, "--service", "nova"])
    assert isinstance(found.exception, UsageError)
    assert "no optional service is called nova" in str(found.exception)


def test_all_services_or_some_images() -> None:
    words = ["plan", "--release", RELEASE, "--all-services", "--image", "nova"]
    found = CliRunner().invoke(cli, words)
    assert found.exit_code == 2
    assert "--all-services, not both" in found.output
