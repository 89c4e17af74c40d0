"""Calls to model servers that were written from the vendors' documentation, for these tests only.

They share no code with `container/cpu`, and vary what the documentation leaves open. `socket_loop`
runs them with real sockets in virtual time; `words` makes speech that they can recognize; `calls`
plays it through a stream of the gateway and checks the transcript.
"""
