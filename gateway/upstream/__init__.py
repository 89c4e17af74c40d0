"""Connections to the model: the servers' protocols, sessions, and their transports.

session       runs one session: opens it, sends audio, receives answers, finishes it
dialects      the protocols of the servers, and what each server can do
realtime      encodes and decodes the messages of vLLM's Realtime protocol
turns, seams  cut audio into turns, and join their texts
speech_watch  what a server that answers only speech must still answer
transport     the interface between a session and a transport
websocket     the transport to a WebSocket server
sagemaker     the transport to a SageMaker endpoint
"""
