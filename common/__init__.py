"""What all processes of the house do alike: read settings, listen, stop when told.

It knows none of them: gateway, container and the local stack build on it.
"""
