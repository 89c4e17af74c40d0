"""Wrap-ups: a summary, follow-ups and a disposition of a call, by a language model.

    stream.ended, or a request --> job --> conversation --> draft --> model --> checks --> event

docs/wrapup.md is the reference. Every sentence of a wrap-up cites segments of the call. Whatever
the model replies, `checks` decides what is published: someone in the call may give orders to it.

worker        the worker: notes jobs, runs them, publishes the results
making        runs one job, with the model and the rules of the process
jobs          a wrap-up to be made; when a failed attempt is repeated
store         the jobs in Redis; requests writes those of people
conversation  the numbered segments of a call
drafting      the requests to the model: one, or several if the call exceeds its context
prompts       their texts, and the schema of replies
checks        drops from a reply what the call does not support
model         what is needed of a model; client implements it (the package `openai`)
failures      why an attempt failed, and whether it is repeated
event         the fields of `assist.wrapup`
settings, metrics
"""
