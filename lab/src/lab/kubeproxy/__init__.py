"""A stand-in for kube-proxy: Services and their endpoints as NAT rules of each node, and its health ports.

It owns the nftables table ``kube-proxy`` of the nodes' namespaces, as the real one in nftables mode does. It must not
know PureLB: an address of a Service is served whether or not it is on an interface.
"""
