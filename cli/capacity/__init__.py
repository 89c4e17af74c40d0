"""`./run capacity`: how many sessions a model server keeps up with.

command   options, progress and the report
probe     plays a recording in a number of sessions at the same time, and measures them
steps     which number is tried next, and when a server no longer keeps up
picture   the measurements as SVG
"""
