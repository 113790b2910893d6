"""What is changed of designate's own code: a module for each patch, see ``contract.patches``."""
