"""The command that lets the APIs of a cloud fail."""

from __future__ import annotations

from typing import Any

import click

from builder.cli.options import format_option


@click.command(short_help="Let an API of a cloud fail.")
@click.argument("service", required=False)
@click.argument("request", required=False, metavar="['METHOD /PATH']")
@click.option("--cloud", metavar="NAME", help="Name of the cloud [default: the only one].")
@click.option(
    "--status", type=click.IntRange(400, 599), metavar="N",
    help="Answer with this error, from 400 to 599.",
)  # fmt: skip
@click.option(
    "--retry-after", type=click.IntRange(min=0), metavar="SECONDS",
    help="Header Retry-After of that answer [default: 1 for 429 and 503].",
)  # fmt: skip
@click.option("--drop", is_flag=True, help="Close the connection without an answer.")
@click.option(
    "--delay", type=click.FloatRange(min=0), metavar="SECONDS", help="Answer so much later."
)
@click.option("--after", is_flag=True, help="Do what is asked before: only the answer fails.")
@click.option(
    "--times", type=click.IntRange(min=1), metavar="N", help="So many requests [default: all]."
)
@click.option(
    "--callers", type=click.Choice(["clients", "services", "all"]), default="clients",
    show_default=True, help="Who asks: clients outside, services of the cloud, or both.",
)  # fmt: skip
@click.option("--list", "list_all", is_flag=True, help="List the faults that there are.")
@click.option("--clear", is_flag=True, help="Remove all faults, or those of SERVICE.")
@format_option
def fault(
    service: str | None,
    request: str | None,
    cloud: str | None,
    list_all: bool,
    clear: bool,
    output_format: str,
    **what: Any,
) -> None:
    """Let requests to an API fail, such as: builder fault nova 'POST /servers' --status 500.

    The path is one below the API's root, with or without a version; * is any text without a
    slash, ** any text.
    """
    from builder import report
    from builder.cloud import clouds

    _check(service, request, what, list_all=list_all, clear=clear)
    faults = clouds.api_faults(cloud)
    if clear:
        click.echo(faults.clear(*([service] if service else [])))
        return
    if list_all:
        found = faults.all()
    else:
        given = {name: value for name, value in what.items() if value is not None}
        found = (faults.add(str(service), str(request), **given),)
    text = report.faults_to_json if output_format == "json" else report.faults_to_text
    click.echo(text(found), nl=False)


def _check(
    service: str | None, request: str | None, what: dict[str, Any], *, list_all: bool, clear: bool
) -> None:
    """Raises ``click.UsageError`` for arguments that do not go together."""
    does = any(what[name] not in (None, False) for name in what if name != "callers")
    if list_all and (clear or service or does):
        raise click.UsageError("--list goes with --cloud and --format only")
    if clear and (request or does):
        raise click.UsageError("--clear goes with SERVICE and --cloud only")
    if not (list_all or clear or (service and request)):
        raise click.UsageError(
            "give a service and a request, such as: builder fault SERVICE 'POST /servers' "
            "--status 500; or --list, or --clear"
        )
