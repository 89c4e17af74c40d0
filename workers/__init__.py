"""The workers: processes that read or maintain the gateways' transcript events.

    python -m workers janitor    closes the streams of lost gateways
    python -m workers wrapup     summarizes calls by a language model (wrapup/)

 1. `janitor.py` checks the leases of all live streams. If a gateway has stopped renewing a lease,
    it writes the stream's last event: `stream.ended` with the status `lost`.
 2. `redis_streams.py` executes its Redis commands. `settings.py` defines its settings.

Workers depend on the gateway's transcript events only (docs/events.md).
"""
