// Events for tests; the fields that do not matter have defaults.

export const T0 = Date.parse("2026-11-21T10:00:00.000Z");

/** Writes the events of one stream: numbers them per epoch, as gateways do. */
export class Writer {
  #n = new Map();

  constructor(stream_id = "MZ1", epoch = 100) {
    Object.assign(this, { stream_id, epoch });
  }

  #event(type, at_ms, fields) {
    const { stream_id, epoch } = this;
    this.#n.set(epoch, (this.#n.get(epoch) ?? 0) + 1);
    const at = new Date(T0 + at_ms).toISOString();
    return { type, call_id: "CA1", stream_id, epoch, n: this.#n.get(epoch), at, gateway: "gw", tenant: "default", ...fields };
  }

  started(at_ms = 0, fields = {}) {
    const track = (name, role) => ({ track: name, role, encoding: "pcmu", rate: 8000 });
    const tracks = [track("inbound", "customer"), track("outbound", "agent")];
    return this.#event("stream.started", at_ms, { carrier: "twilio", tracks, params: {}, ...fields });
  }

  delta(text, start_ms, end_ms, fields = {}) {
    const track = { track: "inbound", role: "customer", segment: 1, rev: 0 };
    return this.#event("transcript.delta", end_ms + 400, { ...track, text, start_ms, end_ms, latency_ms: 400, ...fields });
  }

  final(text, start_ms, end_ms, fields = {}) {
    const track = { track: "inbound", role: "customer", segment: 1, rev: 0 };
    return this.#event("transcript.final", end_ms + 900, { ...track, text, start_ms, end_ms, reason: "pause", ...fields });
  }

  gap(from_ms, to_ms, cause) {
    return this.#event("transcript.gap", to_ms, { track: "inbound", from_ms, to_ms, cause });
  }

  dtmf(at_ms, fields = {}) {
    return this.#event("stream.dtmf", at_ms, fields);
  }

  ended(at_ms, status = "completed", fields = {}) {
    return this.#event("stream.ended", at_ms, { status, reason: "", duration_ms: at_ms, segments: 1, gap_ms: 0, ...fields });
  }

  /** Loses the next events. */
  skip(count) {
    this.#n.set(this.epoch, (this.#n.get(this.epoch) ?? 0) + count);
  }
}
