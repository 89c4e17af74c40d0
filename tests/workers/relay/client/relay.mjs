// A relay for tests: an HTTP server whose responses each test writes.

import { createServer } from "node:http";

/**
 * Starts a server that calls the n-th handler for the n-th request, and the last for all others.
 * @param {...((request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => unknown)} handlers
 */
export async function relay(...handlers) {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url, headers: request.headers });
    handlers[Math.min(requests.length, handlers.length) - 1](request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => (server.closeAllConnections(), server.close());
  return { baseUrl: `http://127.0.0.1:${server.address().port}`, requests, close };
}

/** Answers with the chunks of an event stream, then ends it. */
export const stream =
  (...chunks) =>
  (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    chunks.forEach((chunk) => response.write(chunk));
    response.end();
  };

/** Answers with a status. */
export const status = (code) => (_, response) => response.writeHead(code).end("{}");

/** Accepts the request and never answers. */
export const silence = () => {};

/** Returns the message of an event. */
export const message = (id, data) => `id: ${id}\ndata: ${JSON.stringify(data)}\n\n`;

export const END = 'event: end\ndata: {"events":2,"missing":0}\n\n';

/** Collects what an iterator yields. */
export async function collect(iterator) {
  const found = [];
  for await (const each of iterator) found.push(each);
  return found;
}
