"""Write transcript events to Redis, in batches and exactly once."""
