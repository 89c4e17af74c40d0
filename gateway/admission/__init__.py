"""Admits streams and chooses the endpoint for each of their sessions."""
