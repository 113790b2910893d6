"""What is changed of heat's own code: a module for each patch, see ``contract.patches``."""
