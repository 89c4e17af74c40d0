"""`./run push`: what the worker `push` sends, to be looked at, tested and sent again.

options    what the commands share: the file, Redis, the subscription
command    the commands
tables     what they print
"""
