"""The transport to SageMaker endpoints, by bidirectional streaming over HTTP/2.

transport    opens streams: credentials, connection, signed request, response headers
credentials  resolves AWS credentials that are valid for the whole stream
connections  opens HTTP/2 connections and shares them between streams
http         runs one request and its response on a shared connection
stream       one open stream: queues messages, writes them, and ends exactly once
frames       encodes and signs event-stream frames, and decodes those of the response
errors       maps errors of SageMaker and of the CRT to the gateway's reasons

The AWS SDK builds and signs the request that opens a stream, and parses error responses. This
package sends and receives the frames itself, over the SDK's HTTP library (the CRT). Start with
`transport.py`.
"""
