"""What the commands' options have in common."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.platforms import Platform
    from builder.prepare import Options
    from builder.scan import ScanOptions

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


def _platforms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[Platform, ...]:
    from builder.platforms import parse

    return parse(value) if value is not None else ()


release_option = click.option(
    "--release", "releases", multiple=True, metavar="NAME",
    help="OpenStack release, such as zed, or a pattern such as '2025.*'; repeatable.",
)  # fmt: skip
all_option = click.option("--all", "all_releases", is_flag=True, help="Every release.")
image_option = click.option(
    "--image", "images", multiple=True, metavar="NAME",
    help="Only this image, or a pattern, and the images that it needs; repeatable.",
)  # fmt: skip
registry_option = click.option(
    "--registry", default="127.0.0.1:5001", show_default=True, metavar="HOST[:PORT]",
    help="Registry that the images are named after and pushed to.",
)  # fmt: skip
namespace_option = click.option(
    "--namespace", default="openstack", show_default=True, metavar="NAME",
    help="First part of every repository's name.",
)  # fmt: skip
platform_option = click.option(
    "--platform", "platforms", metavar="PLATFORM,PLATFORM", callback=_platforms,
    help="Platforms to build for, such as linux/amd64,linux/arm64 [default: this machine's].",
)  # fmt: skip
base_option = click.option(
    "--base-image", metavar="REF", callback=reference,
    help="Stand the images on this registry image instead of a bootstrapped Debian.",
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


def selection(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which images, and under which names."""
    for option in (
        *(format_option, platform_option, base_option, namespace_option, registry_option),
        *(image_option, all_option, release_option),
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
        click.option("--db-repository", metavar="REF", callback=reference, help=(
            "Fetch the vulnerability database from this OCI repository first."
        )),
        click.option(
            "--db-dir", type=click.Path(path_type=Path, file_okay=False, exists=True),
            metavar="DIR", help="Trivy's cache directory that holds it [default: Trivy's own].",
        ),
        click.option("--trivy-server", metavar="URL", help="Let this Trivy server find them."),
        click.option("--trivy", metavar="PROGRAM", help="Scan with this Trivy, not the installed."),
    ):  # fmt: skip
        command = option(command)
    return command


def scan_options_of(given: dict[str, Any]) -> ScanOptions:
    """What the command line says about the scan, taken out of ``given``.

    Raises ``click.UsageError`` for two places that a database could come from.
    """
    from builder.scan import ScanOptions

    server = given.pop("trivy_server")
    names = ("trivy", "db_dir", "db_repository", "update_database", "allow_missing_database")
    options = ScanOptions(server=server, **{name: given.pop(name) for name in names})
    sources = {
        "--trivy-server": server, "--db-dir": options.db_dir,
        "--db-repository": options.db_repository, "--update-database": options.update_database,
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
    **given: Any,
) -> Options:
    """What the command line asks for; raises ``click.UsageError`` for neither releases nor all.

    Outside of a project, a command that only uses images has the ``installed`` catalogue.
    """
    from builder.config import installed_root, project_root
    from builder.prepare import Options

    if all_releases == bool(releases):
        raise click.UsageError("give --release NAME, or --all")
    root = project_root(project, Path.cwd(), fallback=installed_root() if installed else None)
    return Options(root=root, releases=("*",) if all_releases else releases, **given)
