"""Where Callscribe runs: `local/` is the laptop's stack."""
