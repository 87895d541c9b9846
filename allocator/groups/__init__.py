"""ServiceGroups: from the API to the catalogue that ipam serves from, and their status.

It must not know Services.
"""
