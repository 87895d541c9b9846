"""The node's VIPs, kept where they belong: wake, plan, execute, report, on an event loop that waits for nobody.

It owns the order of a pass and what has to be looked at. It must not know Kubernetes objects, and never waits for the
API server: what is wanted comes, and what came of it goes, as values through a mailbox.
"""
