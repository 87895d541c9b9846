"""The API as the lab's own kubelets and controllers use it: caches that a watch keeps true, and writes.

Owns the connection and what is known of each kind. It must not decide anything, nor know who looks.
"""
