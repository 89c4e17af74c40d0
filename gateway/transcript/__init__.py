"""From the model's deltas to transcript events in Redis.

token_clock  locates each delta on the media clock
segmenter    combines deltas into segments, each with deltas and a final
events       the transcript events, version 1
encode       encodes events for Redis
keys         names the Redis keys of a call
"""
