"""What is changed of neutron's own code: a module for each patch, see ``contract.patches``."""
