"""The way to the model: Realtime protocol, sessions, and the transports that carry them."""
