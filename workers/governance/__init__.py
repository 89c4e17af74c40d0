"""Erasure, legal holds, retention, the report and the audit trail.

    ./run govern erase CA1 --reason …   eraser.py: ledger.py first, then every store
    python -m workers govern            sweeping.py: what is left, retention, restored backups

stores            what a store of calls does; `assembly.py` creates all of them
ledger, holds     the calls that were erased, and those that may not be deleted
copies            a second place of both
table, calls      hashes by call, and the partitions of a call
redis_calls       the store `redis`; `families.py` says what belongs to a call in which key
spool             the store `spool`: what gateways could not write yet
archive_calls     the store `archive`, and a copy of the ledger in it
search_calls      the store `search`: the indexes
keyspace          finds keys by scanning; `rewriting.py` removes the content of deleted entries,
                  `append_only.py` that of erased calls from Redis' append-only file
retention         the rules by tenant and route; `redis_retention.py` applies them in Redis
trail, chain      the audit trail, and the proof that nothing is missing in it
recorder          appends to it in the background
settings          `WORKER_GOVERN_<NAME>`

docs/governance.md is for operators, docs/decisions/0032-governance.md explains the design.
"""
