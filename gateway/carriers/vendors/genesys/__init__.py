"""Genesys Cloud AudioHook. Pure."""
