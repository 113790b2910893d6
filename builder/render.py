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

import jinja2

from builder.errors import ConfigError, suggestion
from builder.inputs import Inputs, inputs_of
from builder.lock import locked_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.model import Catalogue, Recipe, Release
    from builder.plan import Plan
    from builder.platforms import Platform

ROOTFS = "rootfs"
INPUT_HASH = "org.openstack.builder.input-hash"
_FROM = re.compile(r"^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?:^COPY\s+(?:--\S+\s+)*?--from=|--mount=(?:\S*,)?from=)([^\s,]+)", re.IGNORECASE
)
_SECRET = re.compile(
    r"--mount=(?=(?:\S*,)?type=secret(?:,|\s))(?:\S*,)?id=ca(?:,|\s|$)", re.MULTILINE
)
# What Python and its tools leave beside the code.
_CACHE = re.compile(r"(^|/)(__pycache__|\.[a-z]+_cache)(/|$)")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


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
class _Stage:
    """A stage of a Dockerfile, and what it copies from or stands on, each with its line."""

    name: str | None
    uses: tuple[tuple[str, int], ...]


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
    files.extend(_lock_files(plan.release, lock, versions))
    bake = _bake(catalogue, plan, release, files, base_image)
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


def _lock_files(release: str, lock: str, versions: Mapping[str, str]) -> Iterator[RenderedFile]:
    constraints = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    source = f"locks/{release}.txt"
    yield RenderedFile(PurePosixPath("wheels/lock.txt"), lock.encode(), source)
    yield RenderedFile(PurePosixPath("wheels/constraints.txt"), constraints.encode(), source)


def _bake(
    catalogue: Catalogue,
    plan: Plan,
    release: Release,
    files: Iterable[RenderedFile],
    base_image: str | None,
) -> dict[str, Any]:
    dockerfiles = {
        file.path.parts[0]: file.content.decode()
        for file in files
        if file.path.name == "Dockerfile" and len(file.path.parts) == 2
    }
    targets = _stood_on(catalogue, plan, dockerfiles)
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
        of_suite = name == ROOTFS or catalogue.recipes[owners[name]].shared
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
            queue += found[stage]["contexts"]
    return found


def _set_platforms(targets: dict[str, dict[str, Any]], plan: Plan) -> None:
    """Stages that others stand on are for the building machine too: some of their steps run there.

    Without anything to say, none is named: then BuildKit needs no image index.
    """
    if not plan.foreign:
        return
    images = [image.target for image in plan.images]
    for name, target in targets.items():
        target["platforms"] = list(plan.platforms if name in images else plan.base_platforms)


def _put_below(targets: dict[str, dict[str, Any]], base_image: str) -> None:
    del targets[ROOTFS]
    for target in targets.values():
        if ROOTFS in target["contexts"]:
            target["contexts"][ROOTFS] = f"docker-image://{base_image}"


def _literal(text: str) -> str:
    """``text`` for bake, which takes every string of its file for a template."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _check_stage(recipe: Recipe, target: str, dockerfile: str) -> None:
    starts = (_FROM.match(line) for line in dockerfile.splitlines())
    stages = [start[2] for start in starts if start and start[2]]
    if target not in stages:
        raise ConfigError(
            recipe.directory / "Dockerfile.j2",
            f"there is no stage {target}, which image.yaml publishes",
            hint=suggestion(target, stages),
        )


def _bake_target(recipe: Recipe, stage: str, dockerfile: str, known: list[str]) -> dict[str, Any]:
    contexts = {
        name: f"target:{name}"
        for name in _references(recipe, dockerfile, known, stage)
        if name != stage
    }
    target: dict[str, Any] = {
        "context": f"${{DIR}}/{recipe.name}",
        "contexts": contexts,
        "output": ["type=cacheonly"],
    }
    if _SECRET.search(_COMMENT.sub("", dockerfile)):
        target["secret"] = ["id=ca,src=${CA_BUNDLE}"]
    return target


def _references(recipe: Recipe, dockerfile: str, known: list[str], stage: str) -> list[str]:
    """The stages of other Dockerfiles that ``stage`` of this one stands on."""
    stages = list(_stages(dockerfile))
    own = {each.name for each in stages if each.name}
    for each in stages:
        for name, line in each.uses:
            if name not in (*own, *known, "scratch"):
                raise ConfigError(
                    recipe.directory / "Dockerfile.j2",
                    f"line {line} of the rendered Dockerfile uses the unknown stage {name}",
                    hint=suggestion(name, known),
                )
    queue = [each for each in stages if each.name == stage] or stages[-1:]
    found: dict[str, None] = {}
    seen: list[_Stage] = []
    while queue:
        current = queue.pop()
        seen.append(current)
        for name, _ in current.uses:
            # A name is a stage above in this file, else another recipe's.
            above = [each for each in stages[: stages.index(current)] if each.name == name]
            queue += [each for each in above[-1:] if each not in seen]
            if not above and name != "scratch":
                found[name] = None
    return list(found)


def _stages(dockerfile: str) -> Iterator[_Stage]:
    current: _Stage | None = None
    for number, line in enumerate(dockerfile.splitlines(), start=1):
        start = _FROM.match(line)
        if start:
            if current:
                yield current
            current = _Stage(start[2], ((start[1], number),))
        elif current and (names := _REFERENCE.findall(line)):
            uses = (*current.uses, *((name, number) for name in names))
            current = replace(current, uses=uses)
    if current:
        yield current


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
