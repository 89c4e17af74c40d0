"""Batches on disk while Redis is unavailable."""
