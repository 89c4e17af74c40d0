"""Batches on disk while Redis is unavailable.

overflow  the batches in the spool, and which of them are being written to Redis
spool     appends, reads and deletes batches, in files
owners    which process owns which files
records   the format of a batch in a file
"""
