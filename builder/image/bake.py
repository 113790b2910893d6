"""Makes the bake file: each stage of a release is a target, linked as in the Dockerfiles. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.errors import ConfigError, suggestion
from builder.image.dockerfile import SCRATCH, stages, stood_on, wants_authorities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.catalogue.model import Catalogue, Recipe
    from builder.image.plan import Plan

ROOTFS = "rootfs"
_TARGET = "target:"
_AUTHORITIES = ["id=ca,src=${CA_BUNDLE}"]


def own_stage(name: str, service: str) -> str:
    """The name of the stage that takes the place of ``name`` for an optional service."""
    return f"{name}-{service}"


def bake_file(
    catalogue: Catalogue, plan: Plan, dockerfiles: Mapping[str, str], *, base_image: str | None
) -> dict[str, Any]:
    """The bake file for the images of ``plan`` out of the Dockerfile of each recipe.

    With ``base_image``, that registry image takes the place of the bootstrapped root file system.
    Raises ``ConfigError`` for a stage that a Dockerfile names and that is not there.
    """
    release = catalogue.releases[plan.release]
    targets = _stood_on(catalogue, plan, dockerfiles)
    for target in targets.values():
        # BuildKit runs a step for whichever target gets to it first, with that one's secrets.
        if any("secret" in targets[name] for name in _below(targets, target)):
            target["secret"] = _AUTHORITIES
    for image in plan.images:
        _check_stage(catalogue.recipes[image.recipe], image.target, dockerfiles[image.recipe])
        targets[image.target] |= {
            "target": image.target,
            "tags": [image.reference],
            "output": ["type=docker"],
        }
    shared = catalogue.suites[release.suite].epoch
    owners = _owners(catalogue)
    for name, target in targets.items():
        of_suite = name == ROOTFS or catalogue.recipes[owners[name]].suite_scoped
        epoch = shared if of_suite else release.epoch
        target["args"] = {"SOURCE_DATE_EPOCH": str(epoch)}
        target["attest"] = ["type=provenance,disabled=true"]
    if base_image:
        _put_below(targets, base_image)
    _set_platforms(targets, plan)
    return {
        "variable": {
            "DIR": {"default": "."},
            "ROOTFS_DIR": {"default": "./rootfs"},
            "CA_BUNDLE": {"default": "/etc/ssl/certs/ca-certificates.crt"},
        },
        "group": {"default": {"targets": [image.target for image in plan.images]}},
        "target": targets,
    }


def _owners(catalogue: Catalogue) -> dict[str, str]:
    """The recipe of each stage that a Dockerfile can name."""
    return {
        name: recipe.name
        for recipe in catalogue.recipes.values()
        for name in recipe.targets or [recipe.name]
    }


def _stood_on(
    catalogue: Catalogue, plan: Plan, dockerfiles: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """The images of ``plan`` and every stage that they stand on, as targets of a bake file."""
    owners = _owners(catalogue)
    known = [ROOTFS, *owners]
    found: dict[str, dict[str, Any]] = {
        ROOTFS: {"context": "${ROOTFS_DIR}", "output": ["type=cacheonly"]}
    }
    queue = [image.target for image in plan.images]
    while queue:
        stage = queue.pop(0)
        if stage not in found:
            recipe = catalogue.recipes[owners[stage]]
            found[stage] = _bake_target(recipe, stage, dockerfiles[recipe.name], known)
            queue += _stages_of(found[stage])
    return found


def _stages_of(target: Mapping[str, Any]) -> list[str]:
    """The targets that ``target`` names, by whatever name its Dockerfile calls them."""
    return [name.removeprefix(_TARGET) for name in target.get("contexts", {}).values()]


def _below(targets: Mapping[str, Any], target: Mapping[str, Any]) -> set[str]:
    """The targets that ``target`` stands on, and those that they do."""
    names = set(_stages_of(target))
    return names.union(*(_below(targets, targets[name]) for name in names))


def _set_platforms(targets: dict[str, dict[str, Any]], plan: Plan) -> None:
    """Stages that others stand on are for the building machine too: some of their steps run there.

    Without anything to say, none is named: then BuildKit needs no image index.
    """
    if not plan.emulated:
        return
    below = {name for target in targets.values() for name in _stages_of(target)}
    last = {image.target for image in plan.images} - below
    for name, target in targets.items():
        target["platforms"] = list(plan.platforms if name in last else plan.base_platforms)


def _put_below(targets: dict[str, dict[str, Any]], base_image: str) -> None:
    del targets[ROOTFS]
    for target in targets.values():
        if ROOTFS in target["contexts"]:
            target["contexts"][ROOTFS] = f"docker-image://{base_image}"


def _check_stage(recipe: Recipe, target: str, dockerfile: str) -> None:
    names = [stage.name for stage in stages(dockerfile) if stage.name]
    if target not in names:
        raise ConfigError(
            recipe.directory / "Dockerfile.j2",
            f"there is no stage {target}, which image.yaml publishes",
            hint=suggestion(target, names),
        )


def _bake_target(recipe: Recipe, stage: str, dockerfile: str, known: list[str]) -> dict[str, Any]:
    contexts = {
        name: f"{_TARGET}{_meant(recipe, name, known)}"
        for name in _references(recipe, dockerfile, known, stage)
        if name != stage
    }
    target: dict[str, Any] = {
        "context": f"${{DIR}}/{recipe.name}",
        "contexts": contexts,
        "output": ["type=cacheonly"],
    }
    if wants_authorities(dockerfile):
        target["secret"] = _AUTHORITIES
    return target


def _meant(recipe: Recipe, name: str, known: list[str]) -> str:
    """The stage that ``name`` is in the Dockerfile of ``recipe``.

    What belongs to an optional service has some stages for itself.
    """
    own = own_stage(name, recipe.stage_of or recipe.name)
    return own if own in known and own != recipe.name else name


def _references(recipe: Recipe, dockerfile: str, known: list[str], stage: str) -> list[str]:
    """The stages of other Dockerfiles that ``stage`` of this one stands on."""
    found = stages(dockerfile)
    own = {each.name for each in found if each.name}
    for name, line in (use for each in found for use in each.uses):
        if name not in (*own, *known, SCRATCH):
            raise ConfigError(
                recipe.directory / "Dockerfile.j2",
                f"line {line} of the rendered Dockerfile uses the unknown stage {name}",
                hint=suggestion(name, known),
            )
    return stood_on(found, stage)
