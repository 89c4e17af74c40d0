/** The transcript of one call, which grows while the reader watches. */

import { Component, html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { RelayError, follow } from "../callscribe.js";
import { Marks } from "./assist.js";
import { CallView } from "./call-view.js";
import { perFrame } from "./frames.js";
import { clock, completeness, roleClass } from "./words.js";

/** What redaction puts in the place of a value. */
export const MASK = /(\[[a-z_]{2,30}\])/g;
const CHUNK = 100; // lines that the browser lays out, or skips, together
const RETRY_MS = 500;
const BACKLOG = 3; // more finals than these at once were spoken before the page was opened

/**
 * Follows the call; re-renders at most once per frame.
 * @param {string} callId
 * @param {number} [retries] while the call is unknown, because it is about to start
 * @returns {{ view: CallView, state: string, error: string, finals: any[] }}
 */
export function useCall(callId, retries = 0) {
  const [call, setCall] = useState(() => ({ view: new CallView(), state: "connecting", error: "", finals: /** @type {any[]} */ ([]) }));
  useEffect(() => {
    const stop = new AbortController();
    readCall(callId, retries, stop.signal, setCall);
    return () => stop.abort();
  }, [callId]);
  return call;
}

/**
 * @param {string} callId
 * @param {number} retries
 * @param {AbortSignal} signal
 * @param {(call: any) => void} publish
 */
async function readCall(callId, retries, signal, publish) {
  const view = new CallView();
  const call = { view, state: "connecting", error: "", finals: /** @type {any[]} */ ([]) };
  const show = perFrame(() => {
    if (!signal.aborted) publish({ ...call });
    call.finals = [];
  });
  const change = (/** @type {object} */ values) => show(Object.assign(call, values));
  try {
    for await (const event of follow({ callId, signal, onState: (state) => change({ state }) })) {
      const final = view.apply(event);
      if (final) call.finals.push(final);
      change({});
    }
    change({ state: "ended" });
  } catch (/** @type {any} */ error) {
    if (error.status === 404 && retries > 0) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return readCall(callId, retries - 1, signal, publish);
    }
    const shown = error.code === "gone" ? { view: new CallView() } : {};
    change({ ...shown, state: "failed", error: reasonOf(error) });
  }
}

/** @param {unknown} error */
function reasonOf(error) {
  if (!(error instanceof RelayError)) throw error;
  if (error.status === 401) return "expired";
  if (error.code === "gone") return "This call was erased.";
  if (error.status === 403 || error.status === 404) return "There is no such call, or you may not see it.";
  return `The transcript cannot be shown: ${error.message}.`;
}

/** @param {{ call: ReturnType<typeof useCall>, redacted: boolean, isLive: boolean, assist?: import("./assist-view.js").AssistView, isCited?: boolean }} props */
export function Transcript({ call, redacted, isLive, assist, isCited = false }) {
  const { view, state, finals } = call;
  const end = view.end;
  const none = isCited
    ? "The words of this call have expired here. The archive may have them: ./run export."
    : "This call has not begun, or you may not see it. When it begins, its words appear here.";
  return html`<section class="transcript" aria-label="Transcript">
    <${Lines} view=${view} version=${view.version} assist=${assist} alerted=${assist?.version} redacted=${redacted} />
    ${!view.items.length && html`<p class="empty">${state === "connecting" ? "Loading …" : isLive ? "No words yet." : none}</p>`}
    ${end && html`<p class="complete ${end.missing ? "bad" : "good"}">${completeness(end)}</p>`}
    <${Announcer} finals=${finals} />
    <${Follower} version=${view.version} isLive=${isLive && !end} />
  </section>`;
}

/** The list of lines, in chunks. What is unchanged keeps its element's description, so Preact skips it. */
class Lines extends Component {
  chunks = /** @type {{ lines: any[], list: any }[]} */ ([]);

  /** @param {any} next */
  shouldComponentUpdate(next) {
    const { view, version, alerted } = this.props;
    return next.view !== view || next.version !== version || next.alerted !== alerted;
  }

  /** @param {any} props */
  render({ view, assist, redacted }) {
    let speaker = "";
    const lines = view.items.map((/** @type {any} */ item) => {
      const isFirst = item.speaker !== speaker;
      speaker = item.speaker;
      const marks = marksOf(item, view, assist);
      if (item.shown !== item.version || item.isFirst !== isFirst || item.zero !== view.zero || item.marks !== marks) {
        Object.assign(item, { shown: item.version, isFirst, zero: view.zero, marks });
        item.line = html`<${Line} key=${item.key} item=${item} isFirst=${isFirst} at=${clock(item.time - view.zero)} redacted=${redacted} marks=${marks} />`;
      }
      return item.line;
    });
    const count = Math.ceil(lines.length / CHUNK);
    this.chunks = Array.from({ length: count }, (_, at) => chunkOf(lines.slice(at * CHUNK, (at + 1) * CHUNK), this.chunks[at], at));
    return this.chunks.map(({ list }) => list);
  }
}

/**
 * Returns the known chunk if it has the same lines, else a new one.
 * @param {any[]} lines
 * @param {{ lines: any[], list: any } | undefined} known
 * @param {number} key
 */
function chunkOf(lines, known, key) {
  if (known?.lines.length === lines.length && lines.every((line, at) => line === known.lines[at])) return known;
  return { lines, list: html`<ol key=${key} class="lines" style=${{ "--count": lines.length }}>${lines}</ol>` };
}

/**
 * Returns the open alerts that cite an item; the same array as before if nothing has changed.
 * @param {any} item
 * @param {CallView} view
 * @param {import("./assist-view.js").AssistView} [assist]
 */
function marksOf(item, view, assist) {
  if (!assist || !item.segment) return undefined;
  const found = assist.marksAt(item.place).filter((alert) => view.find(alert) === item);
  const isSame = found.length === (item.marks?.length ?? 0) && found.every((alert, at) => alert === item.marks[at]);
  return isSame ? item.marks : found;
}

/** @param {{ item: import("./call-view.js").Item, isFirst: boolean, at: string, redacted: boolean, marks?: import("./assist-view.js").Alert[] }} props */
function Line({ item, isFirst, at, redacted, marks = [] }) {
  const { key, segment, tags } = item;
  const target = { id: `line-${key}`, tabindex: -1 };
  if (!segment) return html`<li ...${target} class="mark ${item.tone}"><time>${at}</time><span>${item.text}</span></li>`;
  const text = segment.text.trim() || (segment.final ? "" : "…");
  return html`<li ...${target} class="line ${roleClass(segment.role)} ${segment.final ? "" : "partial"} ${isFirst ? "first" : ""}">
    <time>${at}</time>
    <span class=${isFirst ? "speaker" : "unseen"}>${item.speaker}</span>
    <p dir="auto">${redacted ? chips(text) : text}${tags.map((tag) => html` <span class="tag">${tag}</span>`)}</p>
    ${marks.length > 0 && html`<${Marks} alerts=${marks} />`}
  </li>`;
}

/** Shows what is masked as chips. @param {string} text */
export const chips = (text) => text.split(MASK).map((part, at) => (at % 2 ? html`<span class="chip">${part}</span>` : part));

/** Announces finals to screen readers, and nothing else. @param {{ finals: any[] }} props */
function Announcer({ finals }) {
  const said = finals.length <= BACKLOG ? finals.map((item) => `${item.speaker}: ${item.segment.text.trim()}`) : [];
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    for (const text of said) {
      const line = document.createElement("p");
      line.textContent = text;
      ref.current?.append(line);
    }
    while (ref.current && ref.current.childElementCount > 5) ref.current.firstElementChild?.remove();
  }, [finals]);
  return html`<div class="unseen" role="log" aria-live="polite" aria-label="New words" ref=${ref}></div>`;
}

/** Scrolls to the newest words unless the reader has scrolled up. @param {{ version: number, isLive: boolean }} props */
function Follower({ version, isLive }) {
  const [follows, setFollows] = useState(true);
  const last = useRef(0);
  useEffect(() => {
    const onScroll = () => {
      const isUp = scrollY < last.current;
      last.current = scrollY;
      const below = document.documentElement.scrollHeight - innerHeight - scrollY;
      if (below < 48) setFollows(true);
      else if (isUp) setFollows(false);
    };
    const onJump = () => setFollows(false);
    addEventListener("scroll", onScroll, { passive: true });
    addEventListener("jump", onJump);
    return () => (removeEventListener("scroll", onScroll), removeEventListener("jump", onJump));
  }, []);
  useEffect(() => {
    if (follows && isLive) scrollTo(0, document.documentElement.scrollHeight);
  }, [version, follows]);
  if (follows || !isLive) return null;
  return html`<button class="newest" onClick=${() => setFollows(true)}>New words <span aria-hidden="true">↓</span></button>`;
}
