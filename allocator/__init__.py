"""The allocator: gives every Service of type LoadBalancer its addresses.

What it decides is pure (engine, review and what they stand on); what it does is one loop (controller), one write per
decision (writer), and one writer in the cluster (leadership).
"""
