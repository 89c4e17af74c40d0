"""The servers that the publisher's tests write to."""

from tests.redis_servers import (
    redis_cluster_nodes,
    redis_cluster_url,
    redis_server_url,
    redis_url,
)

__all__ = ["redis_cluster_nodes", "redis_cluster_url", "redis_server_url", "redis_url"]
