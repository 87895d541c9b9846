"""What the kernel of this machine gives: namespaces, and programs started inside them.

Owns system calls, children and sandboxes. It must not know nodes, pods or the API; what runs between fork and exec
imports the standard library alone.
"""
