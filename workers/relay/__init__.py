"""The relay: shows live transcripts in the browser, and passes them to programs.

    Redis --> hub.py reads once --> channel.py --> subscription.py --> feeds.py --> streaming.py
                                       |
                                       +--> directory.py: the calls, for the list and for search

assembly      creates all of it from the settings
api           the routes of /api/; pages serves the files of static/
hub           reads the events of all partitions, for any number of viewers
channel       the events of one kind of text, raw or redacted; loads what was not read
assist        reads alerts and wrap-ups; assist_feed sends them, derived decides what belongs there
alerts        the open alerts of the calls, for the list
tail          reads the ends of streams, for hub and assist
feeds         what one viewer receives: history, then what is published
streaming     writes a feed as server-sent events, or on a WebSocket
messages      events encoded once; their order over all partitions
call_summary  the state of one call; directory holds those of the list
wrapups       requests of viewers for a wrap-up
timeline      times of a call, without content
store         the relay's other Redis operations; gateways asks the gateways' private ports
sign_in/      who may see what

docs/relay.md is the reference of the API.
"""
