"""The command line: the only place that prints and exits."""

from __future__ import annotations

import logging
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import BuilderError, MachineError, ReleasesError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from builder.prepare import Options
    from builder.report import ReleaseReport

INTERRUPTED = 130

# https://github.com/distribution/reference: [HOST[:PORT]/]PATH[:TAG][@DIGEST]
_REFERENCE = re.compile(
    r"([\w.\[\]:-]+/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def _reference(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _REFERENCE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not an image reference such as debian:bookworm")
    return value


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
base_option = click.option(
    "--base-image", metavar="REF", callback=_reference,
    help="Stand the images on this registry image instead of a bootstrapped Debian.",
)  # fmt: skip
format_option = click.option(
    "--format", "output_format", type=click.Choice(["text", "json"]), default="text",
    show_default=True, help="Form of the result on stdout.",
)  # fmt: skip
constraints_option = click.option(
    "--constraints", metavar="FILE|URL",
    help="Upper constraints, {release} in it being the release's name "
    "[default: those that OpenStack publishes for the release].",
)  # fmt: skip


def selection(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which images, and under which names."""
    for option in (
        *(format_option, base_option, namespace_option, registry_option),
        *(image_option, all_option, release_option),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="builder")
@click.option(
    "--project", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory with versions.yaml and images/ [default: found from the current one upwards].",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr.")
@click.pass_context
def cli(context: click.Context, project: Path | None, quiet: bool) -> None:
    """Builds, tests and publishes OpenStack container images."""
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("python_on_whales").setLevel(logging.WARNING)
    context.obj = project


@cli.command(short_help="Build, test and push the images of a release.")
@selection
@click.option("--push", is_flag=True, help="Push the set to the registry once it has passed.")
@click.option("--stale", is_flag=True, help="Only releases whose published images are stale.")
@click.option("--print", "print_only", is_flag=True, help="Show the plan and do nothing.")
@click.option("--no-smoke", is_flag=True, help="Leave the smoke test out; excludes --push.")
@click.option("--builder", metavar="NAME", help="Build with this buildx builder.")
@click.option("--cache-from", metavar="SPEC", help="Read BuildKit's cache from there.")
@click.option("--cache-to", metavar="SPEC", help="Write BuildKit's cache there.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, metavar="DIR", help="Where the directory of this run is made.",
)  # fmt: skip
@click.pass_obj
def build(
    project: Path | None,
    /,
    push: bool,
    stale: bool,
    print_only: bool,
    no_smoke: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Build every image of a release, test the set, and push it with --push."""
    from builder import pipeline

    if push and no_smoke:
        raise click.UsageError("--push needs the smoke test: no untested set leaves this machine")
    if push and given["images"]:
        raise click.UsageError("--push needs the whole set: leave --image out")
    options = _options(project, **given)
    if print_only:
        click.echo(pipeline.describe(options, output_format), nl=False)
        return
    if stale:
        options = pipeline.only_stale(options)
    reports = pipeline.build(options, run_smoke=not no_smoke, push=push)
    _print_reports(reports, output_format)
    if stale and not options.releases:
        click.echo("every published image is fresh: nothing to do", err=True)


def _print_reports(reports: Iterator[ReleaseReport], output_format: str) -> None:
    """Print each report as it comes; raises ``ReleasesError`` at the end if a release failed."""
    from builder import report

    seen = []
    for each in reports:
        seen.append(each)
        if output_format == "text" and not each.error:
            click.echo(report.to_text(each))
    if output_format == "json":
        click.echo(report.to_json(seen), nl=False)
    elif len(seen) > 1:
        click.echo(report.summary(seen), nl=False)
    if failed := [each.release for each in seen if each.error]:
        raise ReleasesError(f"{len(failed)} of {len(seen)} releases failed: {', '.join(failed)}")


@cli.command(short_help="Show what would be built, or what is stale.")
@selection
@click.option("--stale", is_flag=True, help="Compare with what the registry has, and say why.")
@click.pass_obj
def plan(project: Path | None, /, stale: bool, output_format: str, **given: Any) -> None:
    """Show the images of releases; with --stale whether those in the registry are still fresh."""
    from builder import freshness, pipeline, report

    options = _options(project, **given)
    if stale:
        text = report.freshness_to_json if output_format == "json" else report.freshness_to_text
        click.echo(text(freshness.survey(options)), nl=False)
    else:
        click.echo(pipeline.describe(options, output_format), nl=False)


@cli.command(short_help="Print everything that decides an image's content.")
@click.argument("image")
@click.option("--release", required=True, metavar="NAME", help="OpenStack release, such as zed.")
@registry_option
@namespace_option
@format_option
@click.pass_obj
def why(
    project: Path | None, /, image: str, release: str, output_format: str, **given: Any
) -> None:
    """Print what IMAGE of a release is made of, stage by stage, and why it is stale if it is."""
    from builder import freshness, report

    options = _options(project, (release,), images=(image,), **given)
    found = freshness.explain(options, image)
    text = report.why_to_json if output_format == "json" else report.why_to_text
    click.echo(text(found), nl=False)


@cli.command(short_help="Compare two images.")
@click.argument("old", metavar="REF", callback=_reference)
@click.argument("new", metavar="REF", callback=_reference)
@format_option
def diff(old: str, new: str, output_format: str) -> None:
    """Compare two images: packages, labels, layers, size; one that is not here is pulled."""
    from builder import pipeline, report

    found = pipeline.compare_images(old, new)
    text = report.diff_to_json if output_format == "json" else report.diff_to_text
    click.echo(text(found), nl=False)


@cli.command(short_help="Write a release's Dockerfiles and bake file.")
@release_option
@all_option
@registry_option
@namespace_option
@base_option
@click.option(
    "--output", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Directory to write to.",
)  # fmt: skip
@click.pass_obj
def render(project: Path | None, /, output: Path, **given: Any) -> None:
    """Write the Dockerfiles and the bake file of a release for people to read."""
    from builder import pipeline

    pipeline.render_release(_options(project, **given), output)


@cli.command(short_help="Print a release's set as a compose file.")
@release_option
@registry_option
@namespace_option
@click.option(
    "--computes", type=click.IntRange(min=1), metavar="N",
    help="Number of compute nodes [default: that of image.yaml].",
)  # fmt: skip
@click.option("--pin", is_flag=True, help="Name each image by the digest that is on this machine.")
@click.pass_obj
def compose(project: Path | None, /, computes: int | None, pin: bool, **given: Any) -> None:
    """Print a compose file of a release's set: a cloud with `docker compose up --wait`."""
    from builder import pipeline

    text = pipeline.compose(_options(project, **given), computes=computes, pin=pin)
    click.echo(text, nl=False)


@cli.command(short_help="Resolve the locks of releases.")
@release_option
@all_option
@constraints_option
@click.option(
    "--upgrade", multiple=True, metavar="PACKAGE",
    help="Do not keep the version that the lock has of this package; repeatable.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Only check that each lock matches versions.yaml.")
@click.pass_obj
def lock(
    project: Path | None,
    /,
    constraints: str | None,
    upgrade: tuple[str, ...],
    check: bool,
    **given: Any,
) -> None:
    """Resolve locks/NAME.txt from versions.yaml under the upper constraints."""

    from builder import upkeep

    options = _options(project, **given)
    if check:
        upkeep.check_locks(options)
        return
    for path in upkeep.lock_releases(options, constraints, upgrade):
        click.echo(path)


@cli.command(short_help="Move releases to the newest point releases.")
@release_option
@all_option
@constraints_option
@format_option
@click.option("--dry-run", is_flag=True, help="Only show what is newer; change nothing.")
@click.pass_obj
def update(
    project: Path | None,
    /,
    constraints: str | None,
    output_format: str,
    dry_run: bool,
    **given: Any,
) -> None:
    """Write the services' newest point releases into versions.yaml, and lock them."""
    from builder import upkeep
    from builder.update import to_json, to_text

    options = _options(project, **given)
    changes = upkeep.update_releases(options, constraints, dry_run=dry_run)
    click.echo(to_json(changes) if output_format == "json" else to_text(changes), nl=False)


@cli.command("list", short_help="Print the releases, for people or as CI's matrix.")
@release_option
@all_option
@registry_option
@namespace_option
@click.option("--stale", is_flag=True, help="Only those whose published images are stale.")
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "github", "gitlab"]),
    default="text", show_default=True,
    help="Form of the result: github is for $GITHUB_OUTPUT, gitlab is a child pipeline.",
)  # fmt: skip
@click.pass_obj
def list_releases(
    project: Path | None,
    /,
    releases: tuple[str, ...],
    all_releases: bool,
    stale: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Print the releases, all of them unless --release chooses: what CI fans out over."""
    from builder import pipeline
    from builder.config import load_catalogue, select_releases
    from builder.matrix import listing

    options = _options(project, releases, all_releases or not releases, **given)
    if stale:
        options = pipeline.only_stale(options)
    catalogue = load_catalogue(options.root)
    chosen = select_releases(catalogue, options.releases)
    click.echo(listing(catalogue, chosen, output_format), nl=False)


@cli.command(short_help="Print the definition of the scheduled CI.")
@click.option(
    "--format", "system", type=click.Choice(["github", "gitlab"]), required=True,
    help="The CI system that it is for.",
)  # fmt: skip
def ci(system: str) -> None:
    """Print a CI definition that rebuilds, tests and pushes stale releases every day."""
    from builder.ci import definition

    click.echo(definition(system), nl=False)


@cli.command(short_help="Start a cloud.")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--release", required=True, metavar="NAME", help="OpenStack release, such as zed.")
@registry_option
@namespace_option
@click.option("--name", metavar="NAME", help="Name of the cloud [default: the release].")
@click.option(
    "--computes", type=click.IntRange(min=1), metavar="N",
    help="Number of compute nodes [default: that of image.yaml].",
)  # fmt: skip
@click.option("--driver", metavar="DRIVER", help="Theirs, such as fake.MediumFakeDriver.")
@click.option(
    "--port-base", type=click.IntRange(min=0, max=60000), metavar="N",
    help="Each service is on 127.0.0.1 at N plus its own port [default: the first that is free].",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@format_option
@click.pass_obj
def up(
    project: Path | None,
    /,
    services: tuple[str, ...],
    release: str,
    registry: str,
    namespace: str,
    as_json: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Start these services of a release with what they need, or all of them, as a cloud."""
    from builder import clouds, report

    options = _options(project, (release,), images=services, registry=registry, namespace=namespace)
    log = logging.getLogger(__name__)
    cloud = clouds.up(
        options, progress=lambda each: log.info("%s: %s", each.name, each.health), **given
    )
    wants_json = as_json or output_format == "json"
    text = report.cloud_to_json if wants_json else report.cloud_to_text
    click.echo(text(cloud), nl=False)


@cli.command(short_help="Remove clouds.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "all_clouds", is_flag=True, help="Every cloud of this machine.")
def down(names: tuple[str, ...], all_clouds: bool) -> None:
    """Remove clouds with everything that is in them."""
    from builder import clouds

    if all_clouds == bool(names):
        raise click.UsageError("give the NAME of a cloud, or --all")
    for name in clouds.down(names):
        click.echo(name)


@cli.command(short_help="List the clouds of this machine.")
@format_option
def ps(output_format: str) -> None:
    """List the clouds of this machine, and the health of what is in them."""
    from builder import clouds, report

    text = report.clouds_to_json if output_format == "json" else report.clouds_to_text
    click.echo(text(clouds.clouds()), nl=False)


@cli.command(short_help="Print the logs of a cloud.")
@click.argument("name")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-f", "--follow", is_flag=True, help="Go on as they come, until ^C.")
def logs(name: str, services: tuple[str, ...], follow: bool) -> None:
    """Print the logs of the cloud NAME, or of some of its services."""
    from builder import clouds

    for line in clouds.logs(name, services, follow=follow):
        click.echo(line, nl=False)


@cli.command(
    "exec", short_help="Run a command in a cloud.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)  # fmt: skip
@click.option("--service", metavar="NAME", help="In a container of this service.")
@click.argument("name")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
@click.pass_context
def execute(context: click.Context, name: str, service: str | None, argv: tuple[str, ...]) -> None:
    """Run COMMAND in the cloud NAME, such as: builder exec zed -- openstack server list."""
    from builder import clouds

    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    command = argv[1:] if argv[0] == "--" else argv
    context.exit(_print_output(clouds.execute(name, service, command, terminal=terminal)))


def _print_output(output: Generator[tuple[str, bytes], None, int]) -> int:
    while True:
        try:
            name, content = next(output)
        except StopIteration as end:
            return int(end.value)
        click.echo(content, nl=False, err=name == "stderr")


def _options(
    project: Path | None, releases: tuple[str, ...], all_releases: bool = False, **given: Any
) -> Options:
    from builder.config import project_root
    from builder.prepare import Options

    if all_releases == bool(releases):
        raise click.UsageError("give --release NAME, or --all")
    root = project_root(project, Path.cwd())
    return Options(root=root, releases=("*",) if all_releases else releases, **given)


def main() -> None:
    """Run the command line; every expected error becomes one message and its exit code."""
    # SIGINT too: the child of a shell's background job would ignore it, but docker's would not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
    except BuilderError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"error: {error.filename}: {error.strerror}", err=True)
        code = MachineError.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: everything that was started is removed", err=True)
        code = INTERRUPTED
    sys.exit(code)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
