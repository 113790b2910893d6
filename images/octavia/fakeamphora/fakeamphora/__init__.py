"""Stands where octavia's amphorae would be: there are none, but octavia cannot tell."""
