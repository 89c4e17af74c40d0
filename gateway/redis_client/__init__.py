"""Redis access of the gateway and the workers.

client            creates a client from a URL: single server, cluster or sentinels
commands          runs commands: retries, timeouts, and new connections after a failure
errors            classifies errors: retryable or final
check             checks at startup whether Redis can be used, and explains why not
tls               finds the reason for a failed TLS connection, for `check`
single_use_store  stores which tokens and signatures were used, shared by all gateways

Start with `create_client` and `execute`. Every command goes through `commands`, so that all clients
handle failovers in the same way.
"""
