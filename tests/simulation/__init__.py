"""The gateways' logic in virtual time, against peers that fail as a seed has it.

    plan.py      a seed -> the calls, peers and troubles of a small world
    world.py     lives through it: `carrier.py` plays the calls to `gateways.py` (the real logic of
                 calls, sessions, admission, publishing), which finds `model.py` and `redis.py`
    loop.py      on a loop whose time is virtual: a minute takes some hundred milliseconds
    process.py   on which a gateway can be stopped and continued, as by SIGSTOP and SIGCONT
    verdict.py   holds what is left in Redis against the audio that was played
    tally.py     counts what happened

`./run simulate` runs many seeds, `./run simulate --first SEED --seeds 1 -v` replays one.
"""
