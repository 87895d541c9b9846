"""From Services to what is written on them: one cache, one reviewer, one writer, one retry.

It owns the order of things. It must not judge addresses itself: that is ipam's, and sources' where others keep them.
"""
