"""Deployments of Callscribe; `local/` runs the whole stack on a laptop."""
