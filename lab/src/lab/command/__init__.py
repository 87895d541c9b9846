"""One lab as a whole: bring it up, answer the command line, take it down.

Owns the order of start and end, the control socket, the control plane, images, and the way into hosts. It must not know
what is played in a lab: the demo, tests and measurements come from above.
"""
