"""ServiceGroups: from the API to the catalogue that ipam serves from, and their status.

It must not know Services; what is to be said of a group is returned, and said by others.
"""
