"""Clouds of containers: compose files, starts, and named clouds."""
