"""The command that scans images: scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import (
    all_option,
    image_option,
    namespace_option,
    options_of,
    registry_option,
    release_option,
    scan_options,
    scan_options_of,
)
from builder.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.scan import ScanResult


@click.command(short_help="Scan the images of a release that are on this machine.")
@release_option
@all_option
@image_option
@registry_option
@namespace_option
@scan_options
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, metavar="DIR", help="Where the directory of this run is made.",
)  # fmt: skip
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "sarif", "html"]),
    default="text", show_default=True, help="Form of the result on stdout.",
)  # fmt: skip
@click.pass_obj
def scan(project: Path | None, /, output_format: str, **given: Any) -> None:
    """Find vulnerabilities, secrets and misconfiguration; policy.yaml says what blocks."""
    from builder.scan import enforce
    from builder.scan.releases import scan_releases

    scanning = scan_options_of(given)
    scanner, found = scan_releases(options_of(project, **given), scanning)
    results, blocked = [], []
    for each in found:
        results.append(each)
        if output_format == "text":
            click.echo(_text([each], output_format))
        try:
            enforce(scanner, each)
        except PolicyError as error:
            blocked.append(error)
    if output_format != "text":
        click.echo(_text(results, output_format), nl=False)
    for one in blocked[:-1]:
        click.echo(f"error: {one}", err=True)
    if blocked:
        raise blocked[-1]


def _text(results: Sequence[ScanResult], output_format: str) -> str:
    from builder.scan import output

    if output_format == "text":
        return output.to_text(results[0])
    form = {"json": output.to_json, "sarif": output.to_sarif, "html": output.to_html}
    return form[output_format](results)
