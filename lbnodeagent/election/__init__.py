"""Which node owns which VIP, and how a VIP changes hands: candidacy, subnets, hand-over.

It owns the rules, as values and deadlines. It must not touch the kernel's addresses or the wire itself: the data plane
does what follows.
"""
