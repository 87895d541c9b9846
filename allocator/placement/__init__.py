"""Where each VIP on a NIC should be: an owner and a stand-in, from values to values.

It owns the planner, which keeps nodes even, leaves VIPs where they are well, and moves few at a time. It must not know
Kubernetes, nor how a plan is written: that is reconcile's. Times are monotonic seconds, and arguments.
"""
