"""The vocabulary that all PureLB programs share: names, addresses, resources, election, Kubernetes access.

It knows none of the programs. Modules without I/O: names, addresses, resources, services, election.
"""

__version__ = "0.1.0"
"""As pyproject.toml has it, and so of all programs; to look it up there takes 1 MB of modules."""
