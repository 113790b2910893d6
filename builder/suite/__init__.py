"""Suites of others that are run against a cloud: an environment, a configuration, a result."""
