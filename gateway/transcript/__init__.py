"""From the model's answers to transcript events in Redis.

session_timeline  converts times of a session's audio to the media clock
segmenter         combines answers into segments, each with deltas and a final
events            the transcript events, version 1
encode            encodes events for Redis
keys              names the Redis keys of a call
"""
