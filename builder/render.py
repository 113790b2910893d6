"""Templates to files: the Dockerfiles and the bake file of one release, as text and in memory.

The stages of a Dockerfile name each other and other recipes in ``FROM``, ``COPY --from`` and
``RUN --mount=…,from=``. Those names are the build graph: nothing else describes it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from builder.bake import bake_file
from builder.errors import ConfigError
from builder.inputs import Inputs, inputs_of
from builder.lock import excludes, locked_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.model import Catalogue, Recipe, Release
    from builder.plan import Plan
    from builder.platforms import Platform

INPUT_HASH = "org.openstack.builder.input-hash"
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
    """Where an image comes from: the project's ``revision``, the tool, the base, the platforms."""

    revision: str
    source: str
    tool: str
    base_name: str
    base_digest: str
    platforms: tuple[Platform, ...]

    @property
    def labels(self) -> dict[str, str]:
        """What labels say of it, and the input hash does not: the same content comes of others."""
        return {
            "org.opencontainers.image.revision": self.revision,
            "org.opencontainers.image.source": self.source,
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
) -> Rendered:
    """The Dockerfiles with their contexts and the bake file of ``plan``.

    With ``base_image``, that registry image takes the place of the bootstrapped root file system.

    Raises ``ConfigError`` with the template's path and line for a mistake in a template.
    """
    release = catalogue.releases[plan.release]
    versions = locked_versions(lock)
    files: list[RenderedFile] = []
    for recipe in catalogue.recipes.values():
        files.extend(_render_recipe(recipe, _variables(recipe, plan.release, release, versions)))
    files.extend(_lock_files(catalogue, plan.release, lock, versions))
    bake = bake_file(catalogue, plan, _dockerfiles(files), base_image=base_image)
    inputs = {}
    for image in plan.images:
        labels = _labels(plan.release, release, image.title)
        inputs[image.target] = inputs_of(image.target, bake, files, provenance, labels)
        labels |= {INPUT_HASH: inputs[image.target].digest, **provenance.labels}
        bake["target"][image.target]["labels"] = {k: _literal(v) for k, v in labels.items()}
    files.append(RenderedFile(PurePosixPath("bake.json"), _json(bake), "images"))
    return Rendered(plan.release, tuple(files), inputs, provenance)


def _variables(
    recipe: Recipe, name: str, release: Release, versions: Mapping[str, str]
) -> dict[str, Any]:
    """What the templates of ``recipe`` may use."""
    shared = {"suite": release.suite, "image": recipe}
    if recipe.shared:
        return shared
    return {
        **shared,
        "release": release,
        "release_name": name,
        "versions": versions,
        "pins": lambda names: " ".join(_pin(name, versions) for name in names),
    }


def write(rendered: Rendered, directory: Path) -> None:
    """Write the files below ``directory``."""
    for file in rendered.files:
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)


def _pin(name: str, versions: Mapping[str, str]) -> str:
    if name not in versions:
        raise LookupError(f"the lock has no package {name}")
    return f"{name}=={versions[name]}"


def _render_recipe(recipe: Recipe, variables: Mapping[str, Any]) -> Iterator[RenderedFile]:
    for path in sorted(recipe.directory.rglob("*")):
        relative = path.relative_to(recipe.directory)
        if path.is_dir() or path.name == "image.yaml" or _CACHE.search(relative.as_posix()):
            continue
        target = PurePosixPath(recipe.name, *relative.parts)
        source = f"images/{target}"
        executable = bool(path.stat().st_mode & 0o100)
        if path.suffix == ".j2":
            text = _render_template(path, variables)
            yield RenderedFile(target.with_suffix(""), text.encode(), source, executable)
        else:
            yield RenderedFile(target, path.read_bytes(), source, executable)


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
    catalogue: Catalogue, release: str, lock: str, versions: Mapping[str, str]
) -> Iterator[RenderedFile]:
    constraints = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    source = f"locks/{release}.txt"
    yield RenderedFile(PurePosixPath("wheels/lock.txt"), lock.encode(), source)
    yield RenderedFile(PurePosixPath("wheels/constraints.txt"), constraints.encode(), source)
    without = excludes(catalogue).encode()
    yield RenderedFile(PurePosixPath("wheels/excludes.txt"), without, "versions.yaml")


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
