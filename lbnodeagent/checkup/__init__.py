"""What on this node keeps load balancer traffic from working, or soon may: looked at every ten seconds or so, and told.

It looks and says; it changes nothing. It must not know VIPs' owners, nor where what it finds is told.
"""
