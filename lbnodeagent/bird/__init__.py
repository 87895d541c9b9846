"""Whether something on this node routes what is on the dummy interface: BIRD's control socket, asked now and then.

It must not know VIPs.
"""
