"""Commands for who takes images: verify."""

from __future__ import annotations

import click

from builder.cli.options import format_option, reference
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
    from builder.cosign import Identity, PublicKey
    from builder.verified import to_json, to_text
    from builder.verify import verify_images

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
