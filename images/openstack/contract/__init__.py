"""What happens inside a container: prepare a service, run it, say whether it serves."""
