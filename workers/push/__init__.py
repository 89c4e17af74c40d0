"""The worker `push`: sends the events of calls to webhooks, in order and signed.

    python -m workers push

 1. `intake.py` reads the streams of the partitions, one group of workers per stream, and makes
    messages: `subscriptions.py` says who gets which, `calls.py` what is known about the call.
 2. `outbox.py` stores them in Redis: a queue per call and subscription, and the history of all
    attempts. The position in a stream advances when the messages are stored.
 3. `dispatcher.py` claims calls whose first message is due, and delivers it by the subscription's
    adapter: `webhook.py` or `salesforce.py`, through `guard.py`, or `kafka.py`. `delivery.py`
    decides what follows.
 4. `endpoints.py` disables endpoints that fail for too long.

addresses   which addresses are allowed; pure
messages    the content and the ids of messages; pure
delivery    pauses, budgets, dead letters; pure
history     what operators see; `replay.py` sends again
assembly    creates all of it from `settings.py`

docs/push.md is for those who receive the messages, docs/decisions/0029-push.md explains the design.
"""
