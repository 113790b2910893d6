"""Publishes a tested set: its tags, the journal that moves them together, and its recovery."""
