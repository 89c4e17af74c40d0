"""Which streams are let in, and which endpoint each of their sessions uses."""
