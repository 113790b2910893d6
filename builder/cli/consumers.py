"""Commands on published images: verify, catalogue."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from builder.cli.options import format_option, namespace_option, reference, registry_option
from builder.errors import VerifyError


def _references(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        reference(context, parameter, value)
    return values


@click.command(short_help="Check who signed images, and that their set was tested.")
@click.argument("references", metavar="REF...", nargs=-1, required=True, callback=_references)
@click.option(
    "--key", metavar="FILE|URI",
    help="The publisher's public key [default: for a registry on this machine its own].",
)  # fmt: skip
@click.option(
    "--certificate-identity", metavar="NAME", help="Who signed without a key, such as a workflow."
)
@click.option("--certificate-oidc-issuer", metavar="URL", help="Who knows that identity.")
@format_option
def verify(
    references: tuple[str, ...],
    key: str | None,
    certificate_identity: str | None,
    certificate_oidc_issuer: str | None,
    output_format: str,
) -> None:
    """Check the signature, provenance, SBOMs and release manifest of each REF; say what they are.

    Exit code 1 if any is not what its publisher signed.
    """
    from builder.trust.cosign import Identity, PublicKey
    from builder.trust.verified import to_json, to_text
    from builder.trust.verify import verify_images

    if bool(certificate_identity) != bool(certificate_oidc_issuer):
        raise click.UsageError("--certificate-identity and --certificate-oidc-issuer go together")
    if key and certificate_identity:
        raise click.UsageError("give --key or --certificate-identity")
    trust: PublicKey | Identity | None = PublicKey(key) if key else None
    if certificate_identity and certificate_oidc_issuer:
        trust = Identity(certificate_identity, certificate_oidc_issuer)
    found = verify_images(references, trust)
    click.echo(to_json(found) if output_format == "json" else to_text(found), nl=False)
    if failed := [each.reference for each in found if each.error is not None]:
        raise VerifyError(f"not verified: {', '.join(failed)}")


@click.command(short_help="Show what a registry holds, as pages and as data.")
@registry_option
@namespace_option
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Write static pages there, index.html the first, and catalogue.json.",
)  # fmt: skip
@format_option
@click.pass_obj
def catalogue(
    project: Path | None,
    /,
    registry: str,
    namespace: str,
    output: Path | None,
    output_format: str,
) -> None:
    """Show the published sets: their tags, digests, age, tests, SBOMs, open advisories.

    All of it is read from the registry; nothing is pulled, and no signature is checked.
    """
    from builder.catalogue.config import installed_root, load_catalogue, project_root
    from builder.options import Naming
    from builder.published.output import to_json, to_text, write_pages
    from builder.published.sets import read_holdings

    root = project_root(project, Path.cwd(), fallback=installed_root())
    holdings = read_holdings(Naming(registry, namespace), load_catalogue(root))
    now = datetime.now(UTC)
    text = to_json(holdings, now) if output_format == "json" else to_text(holdings, now)
    click.echo(text, nl=False)
    if output:
        click.echo(f"the pages begin with {write_pages(holdings, now, output)}", err=True)
