"""Writes transcript events to Redis, in batches, each event exactly once.

publisher     accepts events, flushes, retries and renews leases: all the I/O
outbox        state of the open streams: events queued, in flight or held
backlog       one stream's events, numbered and packed into batches
event_store   the interface of the store, and what its replies mean
redis_store   the store in Redis (append.lua)
timing        timers, and the backoff while Redis is unavailable
reporting     metrics and log lines
spool/        batches on disk while Redis is unavailable
redis_health  whether Redis accepts writes, for /readyz
eviction      whether Redis deletes transcripts
"""
