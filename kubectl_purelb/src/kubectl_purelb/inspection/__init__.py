"""The way of one Service from its pool to the wire: what was done, and what wasn't and why.

From the values that were read alone; they must not know who asks, nor how an answer looks.
"""
