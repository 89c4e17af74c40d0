/** What the transcript of a call shows: utterances and marks in the order of time. Pure. */

import { CallTranscript } from "../callscribe.js";
import { placeOf } from "./assist-view.js";
import { causeName, count, span, speakerName, stateName } from "./words.js";

/**
 * One line of the transcript.
 * @typedef {object} Item
 * @property {number} key
 * @property {number} time Unix ms
 * @property {import("../callscribe.js").Segment | null} segment null for a mark
 * @property {string} text of a mark
 * @property {string} tone of a mark: "gap", "note", "bad" or "end"
 * @property {string} speaker
 * @property {string[]} tags
 * @property {string} place what alerts and wrap-ups cite; empty for a mark
 * @property {number} version changes when the item does
 */

/** Folds the events of one call into items. */
export class CallView {
  transcript = new CallTranscript();
  items = /** @type {Item[]} */ ([]);
  /** Unix ms of the first media clock. */
  zero = NaN;
  version = 0;
  lastLatency = NaN;
  carrier = "";
  talk = /** @type {Map<string, { role: string, ms: number }>} */ (new Map());
  end = /** @type {{ events: number, missing: number } | null} */ (null);
  #keys = 0;
  #lastTime = NaN;
  #roles = /** @type {Map<string, string>} */ (new Map());
  #keyPress = /** @type {(Item & { presses: number, stream: string, track?: string }) | null} */ (null);
  #utterances = /** @type {Map<string, Item>} */ (new Map());
  #places = /** @type {Map<string, Item[]>} */ (new Map());

  /**
   * Applies the next event; returns the final's item, so that it can be announced.
   * @param {any} event
   * @returns {Item | null}
   */
  apply(event) {
    this.version += 1;
    if (event.type === "hole") return this.#hole(event);
    if (event.type === "end") {
      this.end = { events: event.events, missing: event.missing };
      return null;
    }
    const before = this.transcript.streams.get(event.stream_id);
    const former = before && { ...before };
    if (!this.transcript.apply(event)) return null;
    this.end = null;
    const stream = /** @type {import("../callscribe.js").Stream} */ (this.transcript.streams.get(event.stream_id));
    if (!(this.zero <= stream.clock)) this.zero = stream.clock;
    this.#lastTime = Date.parse(event.at);
    if (event.type === "transcript.delta" || event.type === "transcript.final") return this.#utterance(event);
    this.#marks(event, stream, former);
    return null;
  }

  /** @param {any} event */
  #utterance(event) {
    const segment = this.transcript.segmentOf(event);
    if (!segment) return null;
    const key = `${segment.clock} ${segment.segment} ${segment.stream_id} ${segment.track}`;
    let item = this.#utterances.get(key);
    const time = segment.clock + segment.start_ms;
    if (!item) {
      const place = placeOf(segment);
      item = this.#insert({ time, segment, speaker: speakerName(segment.role, segment.track), place });
      this.#utterances.set(key, item);
      this.#places.set(place, [...(this.#places.get(place) ?? []), item]);
    } else if (item.time !== time) {
      this.items.splice(this.items.lastIndexOf(item), 1);
      item.time = time;
      this.#place(item);
    }
    this.#count(item, segment);
    item.segment = segment;
    item.version += 1;
    item.tags = tagsOf(segment.rev, event);
    if (event.type === "transcript.delta" && event.text) this.lastLatency = event.latency_ms;
    return event.type === "transcript.final" ? item : null;
  }

  /**
   * Returns the utterance that is cited. If another gateway has numbered the stream's segments again,
   * it is the one that begins nearest to the cited time.
   * @param {{ stream_id: string, cited_stream_id?: string, track?: string, segment?: number, start_ms?: number }} cited
   * @returns {Item | undefined}
   */
  find(cited) {
    const found = this.#places.get(placeOf(cited)) ?? [];
    const distance = (/** @type {Item} */ { segment }) => Math.abs((segment?.start_ms ?? 0) - (cited.start_ms ?? 0));
    return found.reduce((best, item) => (distance(item) < distance(best) ? item : best), found[0]);
  }

  /**
   * Returns the last item that begins by the time, if any.
   * @param {number} time Unix ms
   */
  before(time) {
    return this.items.findLast((item) => item.time <= time);
  }

  /**
   * Returns a position on a stream's media clock in Unix ms.
   * @param {string} streamId
   * @param {number} ms
   * @param {string} [at] when it was noted, for a stream that is not known
   */
  timeOf(streamId, ms, at = "") {
    const stream = this.transcript.streams.get(streamId);
    return stream ? stream.clock + ms : Date.parse(at) || this.zero;
  }

  /**
   * Adds the segment's new time to its speaker's.
   * @param {Item & { counted?: number }} item
   * @param {import("../callscribe.js").Segment} segment
   */
  #count(item, segment) {
    const ms = Math.max(0, segment.end_ms - segment.start_ms);
    const talk = this.talk.get(item.speaker) ?? { role: segment.role, ms: 0 };
    talk.ms += ms - (item.counted ?? 0);
    item.counted = ms;
    this.talk.set(item.speaker, talk);
  }

  /**
   * Adds the marks of an event without text.
   * @param {any} event
   * @param {import("../callscribe.js").Stream} stream
   * @param {import("../callscribe.js").Stream | undefined} former
   */
  #marks(event, stream, former) {
    const at = stream.clock + (event.at_ms ?? event.from_ms ?? 0);
    const now = Date.parse(event.at);
    if (event.type === "stream.started") this.#started(event, stream, former);
    else if (event.type === "transcript.gap") this.#mark(at, this.#gap(event), event.cause === "not_sent" ? "note" : "gap");
    else if (event.type === "stream.paused") this.#mark(at, "Paused by the carrier", "note");
    else if (event.type === "stream.resumed") this.#mark(at, "Resumed by the carrier", "note");
    else if (event.type === "stream.dtmf") this.#dtmf(event, now);
    else if (event.type === "stream.ended") this.#ended(event, now);
  }

  /**
   * @param {any} event
   * @param {import("../callscribe.js").Stream} stream
   * @param {import("../callscribe.js").Stream | undefined} former
   */
  #started(event, stream, former) {
    this.carrier = String(event.carrier);
    for (const { track, role } of event.tracks) this.#roles.set(`${event.stream_id} ${track}`, role);
    if (event.resumes !== undefined) this.#mark(Date.parse(event.at), "The lost stream was resumed", "note");
    else if (former && former.owner >= 0) this.#mark(stream.clock, "Another gateway took the stream over", "bad");
    else if (this.transcript.streams.size > 1) this.#mark(stream.clock, `Another stream started (${this.carrier})`, "note");
    else this.#mark(stream.clock, `Started (${this.carrier})`, "note");
  }

  /** @param {any} event */
  #gap({ stream_id, track, from_ms, to_ms, cause }) {
    const who = speakerName(this.#roles.get(`${stream_id} ${track}`), track);
    return `${who}: ${span(to_ms - from_ms)} of audio without words (${causeName(cause)})`;
  }

  /**
   * Adds a key press to the last mark if nothing came between.
   * @param {any} event
   * @param {number} now
   */
  #dtmf({ stream_id, track }, now) {
    const last = this.#keyPress;
    if (last && last === this.items.at(-1) && last.stream === stream_id && last.track === track) {
      last.presses += 1;
      last.version += 1;
      last.text = `${last.text.split(" ×")[0]} ×${last.presses}`;
      return;
    }
    const who = track === undefined ? "" : `${speakerName(this.#roles.get(`${stream_id} ${track}`), track)}: `;
    const item = this.#mark(now, `${who}key pressed`, "note");
    this.#keyPress = Object.assign(item, { presses: 1, stream: stream_id, track });
  }

  /**
   * @param {any} event
   * @param {number} now
   */
  #ended({ status, reason, suspected_encoding: suspected }, now) {
    const why = reason ? ` (${reason})` : "";
    this.#mark(now, `Ended: ${stateName(status)}${why}`, status === "completed" ? "end" : "bad");
    for (const [track, encoding] of Object.entries(suspected ?? {})) {
      this.#mark(now, `The audio of ${track} is really ${encoding}: its transcript is worthless`, "bad");
    }
  }

  /** @param {{ first: number, last: number }} hole */
  #hole({ first, last }) {
    this.#mark(this.#lastTime || 0, `${count(last - first + 1, "event")} missing: words may be missing here`, "bad");
    return null;
  }

  /**
   * @param {number} time
   * @param {string} text
   * @param {string} tone
   */
  #mark(time, text, tone) {
    return this.#insert({ time, text, tone });
  }

  /** @param {Partial<Item>} item */
  #insert(item) {
    const whole = { segment: null, text: "", tone: "", speaker: "", tags: [], place: "", time: 0, ...item, version: 1, key: (this.#keys += 1) };
    this.#place(whole);
    return whole;
  }

  /**
   * Inserts the item by its time; most belong at the end.
   * @param {Item} item
   */
  #place(item) {
    let at = this.items.length;
    while (at > 0 && this.items[at - 1].time > item.time) at -= 1;
    this.items.splice(at, 0, item);
  }
}

/**
 * @param {number} rev
 * @param {any} event
 */
function tagsOf(rev, event) {
  const tags = rev > 0 ? ["reconnected"] : [];
  if (event.type === "transcript.final" && event.reason === "rollover") tags.push("session rollover");
  return tags;
}

/**
 * Returns the transcript as lines of text.
 * @param {CallView} view
 * @param {(ms: number) => string} clock
 */
export function asText(view, clock) {
  const line = (/** @type {Item} */ item) =>
    item.segment ? `${item.speaker}: ${item.segment.text.trim()}` : `(${item.text})`;
  return view.items.map((item) => `[${clock(item.time - view.zero)}] ${line(item)}\n`).join("");
}
