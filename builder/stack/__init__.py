"""The model of what a test depends on, and its diagram. Pure."""
