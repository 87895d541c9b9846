"""The vocabulary that all PureLB programs share: names, addresses, resources, election, Kubernetes access.

It knows none of the programs. Modules without I/O: names, addresses, resources, services, election.
"""
