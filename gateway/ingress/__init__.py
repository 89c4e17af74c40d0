"""The ways into the process: media sockets, webhooks, the private port."""
