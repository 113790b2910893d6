"""What is changed of manila's own code: a module for each patch, see ``contract.patches``."""
