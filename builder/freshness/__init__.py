"""Compares published images with what would be built now."""
