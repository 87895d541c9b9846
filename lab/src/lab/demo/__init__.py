"""What `purelb-lab demo` plays and shows: the article's walkthrough, and what must be seen at each step.

Owns expectations, steps and their print. It must use a lab as a user does: by kubectl, by commands on hosts, by faults.
"""
