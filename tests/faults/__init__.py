"""Fault injection: faults on the links between the processes, and their effect on calls."""
