"""What is changed of keystone's own code: a module for each patch, see ``contract.patches``."""
