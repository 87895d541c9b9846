"""Makes a release of this repository: `python -m release VERSION`, which is `make release VERSION=...`.

Owns where the version stands, what a release consists of, and that it comes out alike wherever it is made. It publishes
nothing, and must not know how any program works.
"""
