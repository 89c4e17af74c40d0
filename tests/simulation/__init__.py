"""Simulations of the gateways' logic in virtual time, with faults that are drawn from a seed.

    plan.py      draws the calls, peers and faults of a simulated world from a seed
    world.py     runs it: `carrier.py` plays the calls to `gateways.py` (the real logic of calls,
                 sessions, admission and publishing), which uses `model.py` and `redis.py`
    loop.py      an event loop in virtual time: a simulated minute takes some hundred milliseconds
    process.py   stops and continues a simulated gateway, as SIGSTOP and SIGCONT do
    oracle.py    compares the events in Redis with the audio that was played
    tally.py     counts what happened

`./run simulate` runs many seeds, `./run simulate --first SEED --seeds 1 -v` replays one.
"""
