"""Reads and writes a registry: HTTP, manifests and blobs, layouts, pushes, locks."""
