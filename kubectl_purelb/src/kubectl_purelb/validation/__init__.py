"""What is wrong with a configuration, whether it is a cluster's or in files: objects in, flaws out.

Pure. It goes by the allocator's and the agents' own rules (purelb's). It must not know where objects came from.
"""
