"""Calls with servers written from the vendors' documentation, without code of the CPU engine."""
