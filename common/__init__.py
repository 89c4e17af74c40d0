"""Code that all processes of Callscribe share: settings, HTTP servers, signals, logging.

The gateway, the workers, the container and the local stack import it; it imports none of them.
"""
