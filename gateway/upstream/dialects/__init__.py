"""The protocols of model servers: one file each, behind the interface in `dialect.py`. Pure."""
