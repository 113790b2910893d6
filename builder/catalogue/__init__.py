"""Reads the catalogue: versions.yaml, images/*/image.yaml, locks, and the indexes behind them."""
