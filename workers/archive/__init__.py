"""The archive: a folder per call in a directory or an object store, proved to be complete.

    store = ArchiveStore(open_objects(settings), Text.REDACTED)
    archived = await store.read_call("CA1")  # the record, verified against its manifest
    await store.delete_call("CA1")           # all revisions

docs/archive.md is the reference of the folders. When a call is over, and stays over for some time,
its events are read from Redis and written as a revision: files, then a manifest with their digests.
Every object is created once, so of two workers only one writes it.

record     the record of a call (call.json)
folding    makes the record of events
numbers    the numbering of events: what is there, and what is missing
evidence   a call's events: folded, counted, and compressed as events.jsonl.gz
formats    the record as JSON, WebVTT, text and CSV
manifest   proves a revision complete, or names what is missing
objects    the operations of a directory or an object store
store      the folders of calls: revisions, reading, deletion
reading    reads a call from Redis
due        the calls to be archived, in Redis
archiver   writes one call
worker     the handlers: which events make a call due
assembly   creates the worker from its settings
verify     proves what is stored
settings   `WORKER_ARCHIVE_<NAME>`
"""
