"""Parse carriers' webhooks, and build the documents that answer them. Pure."""
