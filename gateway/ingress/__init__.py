"""The gateway's HTTP side: media sockets, webhooks, and the admin API of the private port."""
