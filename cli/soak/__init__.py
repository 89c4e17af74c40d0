"""`./run soak`: calls for minutes on end while everything around the gateway fails.

command.py   the stack, the run, the verdict
callers.py   who call: one call after another each, held against its audio when it is over
troubles.py  what befalls the links and the parts, at random, one thing after another
watch.py     what grows in the gateway, and what is left of it when nobody calls any more
"""
