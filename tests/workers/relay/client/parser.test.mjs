import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStreamParser, RelayError } from "../../../../workers/relay/static/callscribe.js";

const bytes = (text) => new TextEncoder().encode(text);

/** Parses the chunks; returns the messages. */
function parse(...chunks) {
  const parser = new EventStreamParser();
  return chunks.flatMap((chunk) => parser.push(typeof chunk === "string" ? bytes(chunk) : chunk));
}

const said = (data, id = "", event = "message") => ({ event, data, id });

const TABLE = [
  ["one message", "data: a\n\n", [said("a")]],
  ["a message without its blank line is not complete", "data: a\n", []],
  ["only the first space is removed", "data:  a\n\ndata:a\n\n", [said(" a"), said("a")]],
  ["lines of data are joined", "data: a\ndata\ndata: b\n\n", [said("a\n\nb")]],
  ["comments and unknown fields are ignored", ": ping\n\nretry: 5\ndata: a\n: x\nother\n\n", [said("a")]],
  ["an id stays until the next one", "id: 1-0\ndata: a\n\ndata: b\n\n", [said("a", "1-0"), said("b", "1-0")]],
  ["an id with NUL is ignored", "id: 1\nid: 2\0\ndata: a\n\n", [said("a", "1")]],
  ["an event's name counts once", "event: end\ndata: a\n\ndata: b\n\n", [said("a", "", "end"), said("b")]],
  ["a name without data is dropped", "event: end\n\ndata: b\n\n", [said("b")]],
  ["a byte order mark is removed", "\ufeffdata: a\n\n", [said("a")]],
  ["a value may contain colons", "data: {\"a\":1}\n\n", [said('{"a":1}')]],
];

for (const [name, text, expected] of TABLE) {
  for (const [end, lineEnd] of [["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]]) {
    test(`${name} (${end})`, () => {
      const input = text.replaceAll("\n", lineEnd);
      assert.deepEqual(parse(input), expected);
      assert.deepEqual(parse(...input.split(/(?:)/u)), expected);
    });
  }
}

test("a message is the same wherever it is cut", () => {
  const whole = bytes('id: 1-0\r\nevent: x\r\ndata: {"text":"Grüße 👋"}\r\n\r\n: ping\r\n\r\ndata: b\r\n\r\n');
  const expected = [said('{"text":"Grüße 👋"}', "1-0", "x"), said("b", "1-0")];
  for (let a = 0; a <= whole.length; a += 1) {
    for (let b = a; b <= whole.length; b += 7) {
      assert.deepEqual(parse(whole.slice(0, a), whole.slice(a, b), whole.slice(b)), expected);
    }
  }
});

for (const [name, piece] of [["a line", "x".repeat(1 << 20)], ["a message", `data: ${"x".repeat(1 << 20)}\n`]]) {
  test(`${name} without an end is refused`, () => {
    const parser = new EventStreamParser();
    parser.push(bytes("data: "));
    const endless = () => { for (let i = 0; i < 6; i += 1) parser.push(bytes(piece)); };
    assert.throws(endless, (error) => error instanceof RelayError && error.code === "too-long");
  });
}
