/** The alerts and wrap-ups of one call, from their events, bounded. Pure. */

import { pathOf } from "../callscribe.js";

/** @typedef {import("../callscribe.js").AssistAlert} Alert */
/** @typedef {import("../callscribe.js").AssistWrapup} Wrapup */

const MAX_ALERTS = 2000;
const MAX_MARKS = 20; // of one segment
const MAX_WRAPUPS = 10;
const NO_ALERTS = /** @type {Alert[]} */ ([]);

/**
 * Returns the stream that an alert is about: an event of another one may have raised it.
 * @param {{ stream_id: string, cited_stream_id?: string }} cited
 */
export const streamOf = ({ stream_id, cited_stream_id }) => cited_stream_id ?? stream_id;

/**
 * Returns what names a segment, but for a stream that another gateway began again.
 * @param {{ stream_id: string, cited_stream_id?: string, track?: string, segment?: number }} cited
 */
export const placeOf = (cited) => `${streamOf(cited)} ${cited.track} ${cited.segment}`;

/**
 * Returns the URL of a call's page that shows a segment.
 * @param {string} callId
 * @param {{ stream_id: string, track: string, segment: number, start_ms: number }} cited
 */
export const linkTo = (callId, { stream_id, track, segment, start_ms }) =>
  `/calls/${pathOf(callId)}#words=${[stream_id, track, segment, start_ms].map(encodeURIComponent).join("/")}`;

/**
 * Returns what the fragment of such a URL cites; null for another fragment.
 * @param {string} hash
 */
export function citedIn(hash) {
  const [stream_id, track, segment, start_ms] = hash.match(/^#words=([^/]*)\/([^/]*)\/(\d+)\/(\d+)$/)?.slice(1) ?? [];
  if (start_ms === undefined) return null;
  return { stream_id: decodeURIComponent(stream_id), track: decodeURIComponent(track), segment: Number(segment), start_ms: Number(start_ms) };
}

/** Folds the events of one call. */
export class AssistView {
  version = 0;
  /** Alerts by id, in the order in which they were raised; withdrawn ones, too. */
  alerts = /** @type {Map<string, Alert>} */ (new Map());
  /** How many alerts are open, and how many old ones are not kept. */
  open = 0;
  dropped = 0;
  #marks = /** @type {Map<string, Alert[]>} */ (new Map());
  #wrapups = /** @type {Map<string, Wrapup>} */ (new Map());

  /**
   * Applies the next event; returns whether an alert was raised.
   * @param {any} event
   */
  apply(event) {
    this.version += 1;
    if (event.type === "assist.alert") return this.#alert(event);
    if (event.type === "assist.wrapup") this.#wrapup(event);
    return false;
  }

  /**
   * Returns the newest alerts, the newest first.
   * @param {number} count
   */
  newest(count) {
    return [...this.alerts.values()].slice(-count).reverse();
  }

  /**
   * Returns the open alerts that cite a segment; the same array as before if nothing has changed.
   * @param {string} place
   */
  marksAt(place) {
    return this.#marks.get(place) ?? NO_ALERTS;
  }

  /** The severities of the open alerts. */
  get severities() {
    return new Set([...this.alerts.values()].filter(isOpen).map(({ severity }) => severity));
  }

  /** All wrap-ups, the newest first. */
  get wrapups() {
    return [...this.#wrapups.values()].reverse().sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  }

  /** @param {Alert} event */
  #alert(event) {
    const known = this.alerts.get(event.alert);
    if (!known && !isOpen(event)) return false;
    if (known) this.#remove(known);
    const alert = { ...known, ...event };
    if (isOpen(event)) this.alerts.delete(event.alert); // moves it to the end
    this.alerts.set(event.alert, alert);
    if (isOpen(event)) this.#add(alert);
    if (this.alerts.size > MAX_ALERTS) this.#drop();
    return isOpen(event);
  }

  /** @param {Alert} alert */
  #add(alert) {
    this.open += 1;
    if (alert.segment === undefined) return;
    const marks = this.marksAt(placeOf(alert));
    if (marks.length < MAX_MARKS) this.#marks.set(placeOf(alert), [...marks, alert]);
  }

  /** @param {Alert} alert */
  #remove(alert) {
    if (!isOpen(alert)) return;
    this.open -= 1;
    const marks = this.#marks.get(placeOf(alert));
    if (!marks) return;
    const left = marks.filter((each) => each !== alert);
    if (left.length) this.#marks.set(placeOf(alert), left);
    else this.#marks.delete(placeOf(alert));
  }

  #drop() {
    const [[id, oldest]] = this.alerts;
    this.#remove(oldest);
    this.alerts.delete(id);
    this.dropped += 1;
  }

  /** @param {Wrapup} event */
  #wrapup(event) {
    const key = `${event.made_from} ${event.wrapup}`;
    this.#wrapups.delete(key);
    this.#wrapups.set(key, event);
    if (this.#wrapups.size > MAX_WRAPUPS) this.#wrapups.delete(/** @type {string} */ (this.#wrapups.keys().next().value));
  }
}

/** @param {Alert} alert */
export const isOpen = ({ state }) => state === "raised";
