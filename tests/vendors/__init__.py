"""Calls to model servers that were written from the vendors' documentation, for these tests only.

They share no code with `container/cpu`, and vary what the documentation leaves open. `socket_loop`
runs them with real sockets in virtual time; `spelling` makes audio whose words can be recognized.
"""
