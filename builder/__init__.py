"""Builds, tests and publishes OpenStack container images."""
