"""The pictures of docs/, drawn as SVG from what the code says: `python -m docs.drawings` writes them to docs/img.

Owns their layout and words.  What can be read from the code (the table of verdicts, the intervals of `Config.steady`)
is read from it, and tests compare the files with what would be drawn now.
"""
