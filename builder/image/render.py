"""Templates to files: the Dockerfiles and the bake file of one release, as text and in memory.

The stages of a Dockerfile name each other and other recipes in ``FROM``, ``COPY --from`` and
``RUN --mount=…,from=``. Those names are the build graph: nothing else describes it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from builder.catalogue import backports, definitions
from builder.catalogue.lock import locked_versions
from builder.catalogue.resolution import excludes
from builder.errors import ConfigError
from builder.image.bake import bake_file, own_stage
from builder.image.input_hash import Inputs, inputs_of, recipes_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.catalogue.backports import Backport, SecurityPatch
    from builder.catalogue.model import Catalogue, Recipe, Release
    from builder.image.plan import Plan
    from builder.platforms import Platform

INPUT_HASH = "org.openstack.builder.input-hash"
_SOURCE = "org.opencontainers.image.source"
# The recipe with the wheels of the lock
_WHEELS = "wheels"
# What a recipe has beside the content of its images.
_NOT_INSTALLED = ("checks",)
# What applies back-ports, and the directory that only a stage with some of them has.
_BACKPORTS = "backports"
# What Python and its tools leave beside the code.
_CACHE = re.compile(r"(^|/)(__pycache__|\.[a-z]+_cache)(/|$)")


@dataclass(frozen=True)
class RenderedFile:
    """A file below the output directory; ``source`` is what it is made of, from the project."""

    path: PurePosixPath
    content: bytes
    source: str
    executable: bool = False


@dataclass(frozen=True)
class Rendered:
    """All files of one release, the bake file ``bake.json`` among them; ``inputs`` by target."""

    release: str
    files: tuple[RenderedFile, ...]
    inputs: Mapping[str, Inputs]
    provenance: Provenance


@dataclass(frozen=True)
class Provenance:
    """Where an image comes from: the project's ``revision``, the tool, the base, the platforms.

    ``source`` is None where nobody named one.
    """

    revision: str
    source: str | None
    tool: str
    base_name: str
    base_digest: str
    platforms: tuple[Platform, ...]

    @property
    def labels(self) -> dict[str, str]:
        """What labels say of it, and the input hash does not: the same content comes of others."""
        source = {} if self.source is None else {_SOURCE: self.source}
        if self.source is None and self.base_digest == self.base_name:
            source = {_SOURCE: ""}  # a registry image may have one, which is not this image's
        return {
            "org.opencontainers.image.revision": self.revision,
            **source,
            "org.opencontainers.image.base.name": self.base_name,
            "org.opencontainers.image.base.digest": self.base_digest,
            "org.openstack.builder.version": self.tool,
        }


def render(
    catalogue: Catalogue,
    plan: Plan,
    lock: str,
    provenance: Provenance,
    *,
    base_image: str | None = None,
    more_locks: Mapping[str, str] | None = None,
) -> Rendered:
    """The Dockerfiles with their contexts and the bake file of ``plan``.

    With ``base_image``, that registry image takes the place of the bootstrapped root file system.
    ``more_locks`` are those of the optional services in ``plan``.

    Raises ``ConfigError`` with the template's path and line for a mistake in a template.
    """
    catalogue = catalogue.for_release(plan.release)
    release = catalogue.releases[plan.release]
    base = catalogue.with_optional()
    files = [
        *_files(base, base.recipes, plan.release, lock),
        *_lock_files(base, f"{plan.release}.txt", lock, locked_versions(lock)),
        *_backport_files(base, None, plan.release),
    ]
    recipes = dict(base.recipes)
    for service, own in (more_locks or {}).items():
        part = _with_stages(catalogue.with_optional([service]), service)
        added = part.recipes.keys() - base.recipes.keys()
        versions = locked_versions(lock + own)
        files += _files(part, sorted(added), plan.release, lock + own)
        files += _lock_files(part, f"{service}/{plan.release}.txt", own, versions, service)
        files += _backport_files(part, service, plan.release)
        recipes |= part.recipes
    catalogue = catalogue.model_copy(update={"recipes": recipes})
    bake = bake_file(catalogue, plan, _dockerfiles(files), base_image=base_image)
    inputs = {}
    for image in plan.images:
        labels = _labels(plan.release, release, image.title)
        if there := _backports_below(catalogue, bake, image.target, plan.release):
            labels[backports.LABEL] = backports.label(there)
        inputs[image.target] = inputs_of(image.target, bake, files, provenance, labels)
        labels |= {INPUT_HASH: inputs[image.target].digest, **provenance.labels}
        bake["target"][image.target]["labels"] = {k: _literal(v) for k, v in labels.items()}
    files.append(RenderedFile(PurePosixPath("bake.json"), _json(bake), "images"))
    return Rendered(plan.release, tuple(files), inputs, provenance)


def _files(
    catalogue: Catalogue, names: Iterable[str], release: str, lock: str
) -> Iterator[RenderedFile]:
    """The files of the recipes of these ``names``."""
    versions = locked_versions(lock)
    for recipe in (catalogue.recipes[name] for name in names):
        yield from _render_recipe(recipe, _variables(catalogue, recipe, release, versions))
        yield from _definitions(catalogue, recipe)


def _with_stages(catalogue: Catalogue, service: str) -> Catalogue:
    """The catalogue with the stages that an optional service has for itself.

    They are made of the same templates as those that the release's set has: of what is in the
    lock, and of what the services are.
    """
    stages = {
        own_stage(name, service): recipe.model_copy(
            update={"name": own_stage(name, service), "stage_of": service}
        )
        for name, recipe in catalogue.recipes.items()
        if name == _WHEELS or recipe.services
    }
    return catalogue.model_copy(update={"recipes": {**catalogue.recipes, **stages}})


def _variables(
    catalogue: Catalogue, recipe: Recipe, name: str, versions: Mapping[str, str]
) -> dict[str, Any]:
    """What the templates of ``recipe`` may use."""
    release = catalogue.releases[name]
    if recipe.stage_of:
        packages = catalogue.recipes[recipe.stage_of].packages
        services = {key: value for key, value in release.services.items() if key in packages}
        release = release.model_copy(update={"services": services})
    shared = {
        "suite": release.suite,
        "image": recipe,
        "site_packages": f"/opt/openstack/lib/python{release.suite.python}/site-packages",
    }
    if recipe.suite_scoped:
        return shared
    return {
        **shared,
        "release": release,
        "release_name": name,
        "versions": versions,
        "recipes": catalogue.recipes,
        "targets": catalogue.targets,
        "core": definitions.core(catalogue),
        "backports": _patches_of(catalogue, recipe.stage_of, name),
        "pins": lambda names: " ".join(_pin(name, versions) for name in names),
    }


def write(rendered: Rendered, directory: Path) -> None:
    """Write the files below ``directory``."""
    for file in rendered.files:
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)


class _NotLockedError(LookupError):
    """A template pins what the lock has not got."""


def _pin(name: str, versions: Mapping[str, str]) -> str:
    if name not in versions:
        raise _NotLockedError(f"the lock has no package {name}")
    return f"{name}=={versions[name]}"


def _render_recipe(
    recipe: Recipe, variables: Mapping[str, Any], below: str = "."
) -> Iterator[RenderedFile]:
    for path in sorted((recipe.directory / below).rglob("*")):
        relative = path.relative_to(recipe.directory)
        if path.is_dir() or path.name == "image.yaml" or _CACHE.search(relative.as_posix()):
            continue
        if relative.parts[0] in _NOT_INSTALLED or _is_backport(relative, variables):
            continue
        target = PurePosixPath(recipe.name, *relative.parts)
        source = f"images/{PurePosixPath(recipe.directory.name, *relative.parts)}"
        executable = bool(path.stat().st_mode & 0o100)
        if path.suffix == ".j2":
            text = _render_template(path, variables)
            yield RenderedFile(target.with_suffix(""), text.encode(), source, executable)
        else:
            yield RenderedFile(target, path.read_bytes(), source, executable)


def _definitions(catalogue: Catalogue, recipe: Recipe) -> Iterator[RenderedFile]:
    """The definition of the recipe's own service; with ``services``, of all of the release."""
    source = f"images/{recipe.directory.name}/image.yaml"
    if content := definitions.definition(catalogue, recipe):
        yield RenderedFile(PurePosixPath(recipe.name, definitions.FILE), content, source)
    if not recipe.services:
        return
    for name, service in catalogue.services.items():
        other = catalogue.recipes[name]
        if other.added or recipe.stage_of not in (None, name):
            continue
        below = PurePosixPath(recipe.name, "services", name)
        content = definitions.definition(catalogue, other)
        yield RenderedFile(below / definitions.FILE, content or b"", f"images/{name}/image.yaml")
        for file in _render_recipe(other, {}, service.runtime) if service.runtime else ():
            yield replace(file, path=below.joinpath(*file.path.parts[1:]))


def _render_template(path: Path, variables: Mapping[str, Any]) -> str:
    import jinja2  # importing it costs 80 ms

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  (Dockerfiles and configuration, not HTML)
    )
    try:
        return environment.get_template(path.name).render(variables)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(path, error.message or "syntax error", line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, "is not UTF-8") from error
    except _NotLockedError as error:
        hint = (
            f"add it to packages in {path.parent / 'image.yaml'}, "
            f"then run: builder lock --release {variables['release_name']}"
        )
        line = _template_line(error, path)
        raise ConfigError(path, str(error), line=line, hint=hint) from error
    except Exception as error:  # a template is code: it can raise anything
        hint = f"variables: {', '.join(variables)}"
        message = str(error) or type(error).__name__
        raise ConfigError(path, message, line=_template_line(error, path), hint=hint) from error


def _template_line(error: BaseException, path: Path) -> int | None:
    lines = []
    traceback = error.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename == str(path):
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return lines[-1] if lines else None


def _lock_files(
    catalogue: Catalogue,
    file: str,
    lock: str,
    versions: Mapping[str, str],
    service: str | None = None,
) -> Iterator[RenderedFile]:
    """What the stage with the wheels has of the lock in ``file``: ``versions`` are all there is."""
    constraints = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    source = f"locks/{file}"
    stage = PurePosixPath(own_stage(_WHEELS, service) if service else _WHEELS)
    yield RenderedFile(stage / "lock.txt", lock.encode(), source)
    yield RenderedFile(stage / "constraints.txt", constraints.encode(), source)
    excluded = excludes(catalogue).encode()
    yield RenderedFile(stage / "excludes.txt", excluded, "versions.yaml")


def _is_backport(relative: Path, variables: Mapping[str, Any]) -> bool:
    """Whether a file is a back-port, or what applies them in a release that has none."""
    if relative.parts[:-1] == backports.DIRECTORY:
        return relative.suffix == ".patch"
    return relative.parts[0] == _BACKPORTS and not variables.get("backports")


def _patches_of(
    catalogue: Catalogue, service: str | None, release: str
) -> tuple[SecurityPatch, ...]:
    """The back-ports to apply to the wheels of an optional service, or to those of the release."""
    return tuple(
        patch
        for recipe in catalogue.recipes.values()
        if service in (recipe.name, None)
        for patch in recipe.patches
        if release in patch.releases
    )


def _backport_files(
    catalogue: Catalogue, service: str | None, release: str
) -> Iterator[RenderedFile]:
    stage = own_stage(_WHEELS, service) if service else _WHEELS
    for each in _patches_of(catalogue, service, release):
        below = PurePosixPath(stage, _BACKPORTS, each.backport.package)
        yield RenderedFile(below / each.backport.patch, each.content, each.source)


def _backports_below(
    catalogue: Catalogue, bake: Mapping[str, Any], target: str, release: str
) -> list[Backport]:
    """The back-ports in the services that an image is made of."""
    return [
        patch.backport
        for name in recipes_below(target, bake)
        if name in catalogue.recipes
        for patch in catalogue.recipes[name].patches
        if release in patch.releases
    ]


def _dockerfiles(files: Iterable[RenderedFile]) -> dict[str, str]:
    """The Dockerfile of each recipe."""
    return {
        file.path.parts[0]: file.content.decode()
        for file in files
        if file.path.name == "Dockerfile" and len(file.path.parts) == 2
    }


def _literal(text: str) -> str:
    """``text`` for bake, which takes every string of its file for a template."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _labels(name: str, release: Release, title: str) -> dict[str, str]:
    """https://github.com/opencontainers/image-spec/blob/main/annotations.md."""
    return {
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": release.version_id,
        "org.opencontainers.image.created": f"{release.date.isoformat()}T00:00:00Z",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.openstack.release": name,
        "org.openstack.release.status": release.status.value,
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
