"""What is wrong in a cluster around PureLB, and why that matters: the plugin's own checks, and the agents' word.

Pure; it must not know terminals, nor read anything.
"""
