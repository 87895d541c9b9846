"""The way of a Service, from the API to its PATCH.

    cache -> schedule -> review (request -> engine -> plan) -> writer or, where others keep the addresses, asking

controller.py owns the order of things, and passes on what happens elsewhere; what becomes of a Service whose turn it
is, is reconciler.py's. They must not judge addresses themselves: that is ipam's. Words are wording.py's.
"""
