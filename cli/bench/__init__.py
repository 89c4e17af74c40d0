"""`./run bench`: measures a gateway's cost and latency under load, and checks for lost audio.

command.py   the load: calls of unique noise, on a local stack with the checksum engine
gauges.py    CPU, memory and latency histograms over the measured window

`cli/audit.py` checks that every 80 ms of every track arrived once and in order.
"""
