"""What carriers post to webhooks, and the documents they are answered with. Pure."""
