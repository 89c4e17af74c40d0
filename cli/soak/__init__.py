"""`./run soak`: keeps calling while links and processes around the gateway fail at random.

command.py          starts the stack, runs the soak and reports the outcome
callers.py          play one call after another and audit each
fault_injection.py  injects faults into links and processes, one at a time
watch.py            measures the gateway's memory growth and leaks
"""
