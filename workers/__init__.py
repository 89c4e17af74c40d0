"""The workers: processes that read the gateways' transcript events, or tend them.

    python -m workers janitor    closes the streams of gateways that died

 1. `janitor.py` looks at the leases of all live streams and writes the last event of those whose
    gateway has stopped renewing: `stream.ended`, status `lost`.
 2. `redis_streams.py` is what it asks of Redis; `settings.py` how it is configured.

They know the gateway by its transcript events alone (docs/events.md).
"""
