"""What is changed of nova's own code: a module for each patch, see ``contract.patches``."""
