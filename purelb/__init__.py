"""The vocabulary that all PureLB programs share: names, addresses, resources, election, Kubernetes access.

It knows none of the programs. Which of its modules do no I/O, pyproject.toml says, under "Pure logic".
"""

__version__ = "0.2.0"
"""As pyproject.toml has it, and so of all programs; to look it up there takes 1 MB of modules."""
