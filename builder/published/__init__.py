"""What a registry holds: published sets, read from their release manifests, as pages and data."""
