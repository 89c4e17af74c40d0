"""From the model's deltas to transcript events on Redis."""
