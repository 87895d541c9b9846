"""Addresses: pools, who holds what, requests -> decisions. Pure: no I/O, no clock, no Kubernetes.

It owns the ledger. It must not know objects of the API or where a group's addresses are kept.
"""
