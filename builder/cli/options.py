"""Options that several commands share."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance

    from builder.options import Options, Selection
    from builder.platforms import Platform
    from builder.scan import ScanOptions

T = TypeVar("T", bound="DataclassInstance")

# https://github.com/distribution/reference: [HOST[:PORT]/]PATH[:TAG][@DIGEST]
_REFERENCE = re.compile(
    r"([\w.\[\]:-]+/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def reference(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The callback of an option or argument that is an image reference."""
    if value is not None and not _REFERENCE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not an image reference such as debian:bookworm")
    return value


def _references(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        reference(context, parameter, value)
    return values


def _platforms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[Platform, ...]:
    from builder.platforms import parse

    return parse(value) if value is not None else ()


release_option = click.option(
    "--release", "releases", multiple=True, metavar="NAME",
    help="OpenStack release, such as zed, or a pattern such as '2025.*'; repeatable.",
)  # fmt: skip
all_option = click.option("--all", "all_releases", is_flag=True, help="Every release.")
folders_option = click.option(
    "--images", "folders", multiple=True, metavar="DIR", envvar="BUILDER_IMAGES", show_envvar=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of a service beside those of the project, or a directory of such; repeatable.",
)  # fmt: skip
image_option = click.option(
    "--image", "images", multiple=True, metavar="NAME",
    help="Only this image, or a pattern, and the images that it needs; repeatable.",
)  # fmt: skip
all_services_option = click.option(
    "--all-services", is_flag=True,
    help="Also the services that are in no set by default: those that builder list shows.",
)  # fmt: skip
registry_option = click.option(
    "--registry", default="127.0.0.1:5001", show_default=True, metavar="HOST[:PORT]",
    help="Registry that the images are named after and pushed to.",
)  # fmt: skip
namespace_option = click.option(
    "--namespace", default="openstack", show_default=True, metavar="NAME",
    help="First part of every repository's name.",
)  # fmt: skip
local_option = click.option(
    "--local", "published", flag_value=False, default=True,
    help="Start this machine's own images, such as those of the last build, and not those that "
    "the registry's record of the set names.",
)  # fmt: skip
platform_option = click.option(
    "--platform", "platforms", metavar="PLATFORM,PLATFORM", callback=_platforms,
    help="Platforms to build for, such as linux/amd64,linux/arm64 [default: this machine's].",
)  # fmt: skip
base_option = click.option(
    "--base-image", metavar="REF", callback=reference,
    help="Stand the images on this registry image instead of a bootstrapped Debian.",
)  # fmt: skip
source_option = click.option(
    "--source", metavar="URL", envvar="BUILDER_SOURCE", show_envvar=True,
    help="Where this project is kept, for the images' labels and provenance "
    "[default: the repository of the CI job, or the checkout's remote origin].",
)  # fmt: skip
downgrade_option = click.option(
    "--allow-downgrade", is_flag=True, help="Let tags go back to an older version or build."
)
format_option = click.option(
    "--format", "output_format", type=click.Choice(["text", "json"]), default="text",
    show_default=True, help="Form of the result on stdout.",
)  # fmt: skip
constraints_option = click.option(
    "--constraints", metavar="FILE|URL",
    help="Upper constraints, {release} in it being the release's name "
    "[default: those that OpenStack publishes for the release].",
)  # fmt: skip
_sign_key_option = click.option(
    "--sign-key", metavar="FILE|URI",
    help="Sign what is pushed with this private key of cosign's, its password in COSIGN_PASSWORD "
    "[default: COSIGN_KEY; for a registry on this machine a key made for it].",
)  # fmt: skip
_keyless_option = click.option(
    "--keyless", is_flag=True, help="Sign what is pushed as the CI job that runs this."
)
_no_sign_option = click.option(
    "--no-sign", is_flag=True, help="Push without signatures, SBOMs and provenance."
)


advisories_option = click.option(
    "--advisories", multiple=True, metavar="PATH",
    type=click.Path(path_type=Path, exists=True),
    help="Look for these advisories: a file or directory of OSV JSON; repeatable.",
)  # fmt: skip

fix_advisories_option = click.option(
    "--advisories", multiple=True, metavar="PATH",
    type=click.Path(path_type=Path, exists=True),
    help="Upgrade libraries that have these: a file or directory of OSV JSON; repeatable.",
)  # fmt: skip

fix_database_option = click.option(
    "--db-dir", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Upgrade libraries that have those of the database in this cache directory of Trivy's.",
)  # fmt: skip


def selection(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which images, and under which names."""
    for option in (
        *(format_option, platform_option, base_option, namespace_option, registry_option),
        *(image_option, all_services_option, folders_option, all_option, release_option),
    ):
        command = option(command)
    return command


def signing(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how what is pushed is signed."""
    for option in (_no_sign_option, _keyless_option, _sign_key_option):
        command = option(command)
    return command


def scan_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what an image is scanned with; ``scan_options_of`` takes them again."""
    for option in (
        click.option("--allow-missing-database", is_flag=True, help=(
            "Go on without a vulnerability database where policy.yaml says fail."
        )),
        click.option("--update-database", is_flag=True, help=(
            "Fetch the newest vulnerability database first, from where Trivy itself does."
        )),
        click.option(
            "--db-repository", "db_repositories", metavar="REF", callback=_references,
            multiple=True, help="Fetch the vulnerability database from this OCI repository first; "
            "repeatable: the next one for when it is overloaded.",
        ),
        click.option(
            "--db-dir", type=click.Path(path_type=Path, file_okay=False, exists=True),
            metavar="DIR", help="Trivy's cache directory that holds it [default: Trivy's own].",
        ),
        advisories_option,
        click.option("--trivy-server", metavar="URL", help="Let this Trivy server find them."),
        click.option("--trivy", metavar="PROGRAM", help="Scan with this Trivy, not the installed."),
    ):  # fmt: skip
        command = option(command)
    return command


def scan_options_of(given: dict[str, Any]) -> ScanOptions:
    """Options of the scan, taken out of ``given``.

    Raises ``click.UsageError`` for two places that a database could come from.
    """
    from builder.scan import ScanOptions

    server = given.pop("trivy_server")
    names = (
        *("trivy", "db_dir", "db_repositories", "advisories", "update_database"),
        "allow_missing_database",
    )
    options = ScanOptions(server=server, **{name: given.pop(name) for name in names})
    sources = {
        "--trivy-server": server, "--db-dir": options.db_dir,
        "--db-repository": options.db_repositories, "--update-database": options.update_database,
        "--advisories": options.advisories,
    }  # fmt: skip
    named = [name for name, value in sources.items() if value]
    if len(named) > 1:
        raise click.UsageError(f"give only one of {' and '.join(named)}")
    return options


def options_of(
    project: Path | None,
    releases: tuple[str, ...],
    all_releases: bool = False,
    *,
    installed: bool = False,
    newest: bool = False,
    **given: Any,
) -> Options:
    """Options of a command; raises ``click.UsageError`` for neither releases nor all.

    With ``newest`` neither is the newest release that upstream maintains.

    Outside of a project, a command that only uses images has the ``installed`` catalogue.
    """
    from builder.catalogue.config import installed_root, project_root
    from builder.options import Selection

    if (all_releases and releases) or not (all_releases or releases or newest):
        both = ", not both" if all_releases else ""
        raise click.UsageError(f"give --release NAME, or --all{both}")
    root = project_root(project, Path.cwd(), fallback=installed_root() if installed else None)
    images, folders = given.pop("images", ()), given.pop("folders", ())
    every = given.pop("all_services", False)
    if every and images:
        raise click.UsageError("give --image NAME, or --all-services, not both")
    chosen = ("*",) if all_releases else releases
    return grouped(Selection(root, chosen, images, folders, every, newest), given)


def grouped(selection: Selection, given: dict[str, Any]) -> Options:
    """Options with what is ``given`` by name, each in its group."""
    from builder.options import BuildOptions, Naming, Options, Signing

    naming, build = _group(Naming, given), _group(BuildOptions, given)
    return Options(selection, naming, build, _group(Signing, given), **given)


def _group(kind: type[T], given: dict[str, Any]) -> T:
    """One group of options, taken out of ``given``."""
    return kind(**{each.name: given.pop(each.name) for each in fields(kind) if each.name in given})
