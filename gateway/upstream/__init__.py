"""Connections to the model: the Realtime protocol, sessions, and their transports.

realtime   encodes and decodes the messages of the Realtime protocol
session    runs one session: opens it, sends audio, receives deltas, finishes it
transport  the interface between a session and a transport
websocket  the transport to a vLLM server's `/v1/realtime`
sagemaker  the transport to a SageMaker endpoint
"""
