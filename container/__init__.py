"""Processes that run in the model's container: the bridge, and a speech engine for a CPU.

entrypoint/  starts vLLM and the bridge in the model image (Dockerfile)
bridge/      implements SageMaker's container contract and relays to an engine's Realtime API
cpu/         an engine with the same Realtime API as vLLM, over a speech model that runs on a CPU
"""
