"""Calls with sensitive values in braces, and calls that only look like it.

`hand` has calls written from how people talk; `made` combines templates with seeded values.
"""
