"""`./run bench`: what a gateway costs and adds under load, and proof that nothing was lost.

command.py   the load: calls of unique noise, against a local stack without a speech model
gauges.py    the gateway's CPU, memory and latency histograms over the measured window

That every 80 ms of every track arrived once and in order says `cli/audit.py`.
"""
