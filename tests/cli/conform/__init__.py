"""Conformance of Realtime servers."""
