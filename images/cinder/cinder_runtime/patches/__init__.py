"""What is changed of cinder's own code: a module for each patch, see ``contract.patches``."""
