"""`./run conform`: compares a Realtime server with vLLM's Realtime API, rule by rule.

dialogue     one connection; what differs is raised as `Difference`
rule         a rule, and the server that it is checked against
messages     rules about connections, messages and frames
generations  rules about audio, deltas and capacity
command      runs the rules and prints the table
"""
