"""What is changed of glance's own code: a module for each patch, see ``contract.patches``."""
