"""Signatures, attestations and provenance of published images: made, attached and verified."""
