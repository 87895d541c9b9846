"""Servers for tests, the double and a real one alike, each on an event loop of its own in a thread.

Owns a plain HTTP client and the emptying of a server between tests. It must not know pytest, nor what is tested.
"""
