"""The way of a Service, from the API to its PATCH.

    cache -> schedule -> review (request -> engine -> plan) -> writer or, where others keep the addresses, asking

controller.py owns the order of things, and passes on what happens elsewhere. It must not judge addresses itself: that
is ipam's. Words are wording.py's.
"""
