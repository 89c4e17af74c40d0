"""The protocols of model servers: one pure file each, behind the interface in `dialect.py`."""
