/** The timeline of one call: when there were words, gaps and delays, without the words. */

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { Chart } from "./chart.js";
import { total } from "./scale.js";
import { Banner, api, signIn, start } from "./session.js";
import { causeName, clock, percentile, span, speakerName, stateName, when } from "./words.js";

const REFRESH_MS = 5000;
const MAX_GAPS = 500; // in the table
const MAX_LAGS = 2000; // of each track
const callId = location.pathname.split("/")[2] ?? "";

/** @typedef {{ stream: string, track: string, points: [number, number][] }} Lag */

function TimelinePage() {
  const { timeline, lags, error } = useTimeline();
  const call = timeline?.call;
  useEffect(() => {
    document.title = `Timeline of ${callId} · Callscribe`;
  }, []);
  return html`<main id="main" class="timeline">
    <div class="title">
      <h1>Timeline of <a href=${`/calls/${callId}`}>${callId}</a></h1>
      ${call && html`<span class="badge state ${call.state}">${stateName(call.state)}</span>`}
    </div>
    ${error === 401 && html`<${Banner} tone="bad">Your session has ended. <button class="link" onClick=${signIn}>Sign in again</button><//>`}
    ${(error === 403 || error === 404) && html`<${Banner} tone="bad">There is no such call, or you may not see its timeline. <a href="/">All calls</a><//>`}
    ${error !== null && ![401, 403, 404].includes(error) && html`<${Banner} tone="warn">The relay cannot be reached. Trying again …<//>`}
    ${!timeline && error === null && html`<p class="empty">Loading …</p>`}
    ${timeline?.streams.map((/** @type {any} */ stream) => html`<${Stream} key=${stream.stream_id} stream=${stream} lags=${lags}
      live=${liveTracks(timeline.live, stream.stream_id)} />`)}
    ${timeline && !timeline.streams.length && html`<p class="empty">The call has no stream yet.</p>`}
  </main>`;
}

/** Loads the timeline, and again every few seconds while the call is live. */
function useTimeline() {
  const [state, setState] = useState({ timeline: /** @type {any} */ (null), lags: /** @type {Lag[]} */ ([]), error: /** @type {number | null} */ (null) });
  useEffect(() => {
    const stop = new AbortController();
    const lags = /** @type {Lag[]} */ ([]);
    let timer = 0;
    const load = async () => {
      try {
        const timeline = await api(`/api/calls/${callId}/timeline`, { signal: stop.signal });
        addLags(lags, timeline.live);
        setState({ timeline, lags, error: null });
        if (timeline.call.state === "live") timer = setTimeout(load, REFRESH_MS);
      } catch (/** @type {any} */ error) {
        if (stop.signal.aborted) return;
        setState((known) => ({ ...known, error: error.status ?? 0 }));
        if (![401, 403, 404].includes(error.status)) timer = setTimeout(load, REFRESH_MS);
      }
    };
    load();
    return () => (clearTimeout(timer), stop.abort());
  }, []);
  return state;
}

/**
 * Stores how far the model is behind; the relay knows only the present.
 * @param {Lag[]} lags
 * @param {any} live
 */
function addLags(lags, live) {
  for (const { stream_id: stream, tracks } of live?.streams ?? []) {
    for (const { track, position_ms, lag_ms } of tracks) {
      let lag = lags.find((each) => each.stream === stream && each.track === track);
      if (!lag) lags.push((lag = { stream, track, points: [] }));
      lag.points.push([position_ms, lag_ms]);
      if (lag.points.length > MAX_LAGS) lag.points.shift();
    }
  }
}

/**
 * @param {any} live
 * @param {string} streamId
 */
const liveTracks = (live, streamId) => live?.streams.find((/** @type {any} */ each) => each.stream_id === streamId)?.tracks ?? [];

/** @param {{ stream: any, lags: Lag[], live: any[] }} props */
function Stream({ stream, lags, live }) {
  const [detail, setDetail] = useState("");
  const [ref, width] = useWidth();
  const own = lags.filter((lag) => lag.stream === stream.stream_id);
  // Details change while the pointer moves; the drawing may have thousands of elements.
  const chart = useMemo(
    () => width > 0 && html`<${Chart} stream=${stream} lags=${own} width=${width} onDetail=${setDetail} />`,
    [stream, width],
  );
  const facts = [
    ["Carrier", stream.carrier],
    ["Started", when(stream.started)],
    ["Audio", clock(stream.duration_ms)],
    ["State", `${stateName(stream.status)}${stream.reason ? ` (${stream.reason})` : ""}`],
  ];
  return html`<section aria-label=${`Stream ${stream.stream_id}`}>
    <h2>${stream.stream_id}</h2>
    <dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <div class="chart" ref=${ref}>${chart}</div>
    <p class="detail" aria-live="polite">${detail || "Point at a mark, or move to it with Tab, for its details."}</p>
    <${Legend} hasLag=${own.length > 0} />
    <${Figures} stream=${stream} live=${live} />
    <${Gaps} stream=${stream} />
  </section>`;
}

/** @returns {[any, number]} a ref, and the width of its element */
function useWidth() {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (ref.current);
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

/** @param {{ hasLag: boolean }} props */
function Legend({ hasLag }) {
  const entries = ["words", "gap", "pause", "reconnect", "rollover", "latency", ...(hasLag ? ["lag"] : [])];
  return html`<p class="legend" aria-hidden="true">${entries.map((name) => html`<span key=${name} class=${name}><i></i>${name === "lag" ? "model lag" : name}</span>`)}</p>`;
}

/** @param {{ stream: any, live: any[] }} props */
function Figures({ stream, live }) {
  const tracks = stream.tracks.map((/** @type {any} */ track) => ({ ...track, now: live.find((each) => each.track === track.track) }));
  const rows = FIGURES.filter(([, , isLive]) => !isLive || live.length);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Figures"><table>
    <caption class="unseen">Figures of the tracks</caption>
    <thead><tr><th scope="col">Track</th>${tracks.map((/** @type {any} */ track) => html`<th key=${track.track} scope="col">${nameOf(track)}</th>`)}</tr></thead>
    <tbody>${rows.map(([name, figure]) => html`<tr key=${name}>
      <th scope="row">${name}</th>
      ${tracks.map((/** @type {any} */ track) => html`<td key=${track.track}>${figure(track)}</td>`)}
    </tr>`)}</tbody>
  </table></div>`;
}

/** @type {[string, (track: any) => unknown, boolean?][]} */
const FIGURES = [
  ["Segments", (track) => track.segments.length],
  ["Talked", (track) => clock(total(track.segments))],
  ["Gaps", (track) => (track.gaps.length ? `${track.gaps.length}, ${span(total(track.gaps))}` : "0")],
  ["Reconnects", (track) => track.reconnects.length],
  ["Rollovers", (track) => track.rollovers.length],
  ["First audio after", ({ now }) => known(now && now.first_audio_s !== null ? now.first_audio_s * 1000 : null), true],
  ["First words after", (track) => known(track.first_delta_ms)],
  ["First final after", (track) => known(track.first_final_ms)],
  ["Latency, median", (track) => latency(track, 0.5)],
  ["Latency, 95 %", (track) => latency(track, 0.95)],
  ["Latency, highest", (track) => latency(track, 1)],
  ["Now", ({ now }) => (now ? now.state : "–"), true],
  ["Endpoint", ({ now }) => now?.endpoint ?? "none", true],
  ["Model lag", ({ now }) => known(now?.lag_ms), true],
  ["Waits to be sent", ({ now }) => known(now?.buffered_ms), true],
];

/** @param {any} track */
const nameOf = ({ track, role }) => (role === "unknown" ? track : `${speakerName(role, track)} (${track})`);

/** @param {number | null | undefined} ms */
const known = (ms) => (ms === null || ms === undefined ? "–" : span(ms));

/**
 * @param {any} track
 * @param {number} share
 */
function latency(track, share) {
  const value = percentile(track.latency.map((/** @type {[number, number]} */ point) => point[1]), share);
  return Number.isNaN(value) ? "–" : span(value);
}

/** @param {{ stream: any }} props */
function Gaps({ stream }) {
  const gaps = stream.tracks.flatMap((/** @type {any} */ track) => track.gaps.map((/** @type {any} */ gap) => [...gap, nameOf(track)]));
  if (!gaps.length) return null;
  gaps.sort((/** @type {any} */ a, /** @type {any} */ b) => a[0] - b[0]);
  return html`<details>
    <summary>Gaps (${gaps.length})</summary>
    <table>
      <thead><tr><th scope="col">From</th><th scope="col">Length</th><th scope="col">Track</th><th scope="col">Cause</th></tr></thead>
      <tbody>${gaps.slice(0, MAX_GAPS).map(([from, to, cause, name], /** @type {number} */ at) => html`<tr key=${at}>
        <td>${clock(from)}</td><td>${span(to - from)}</td><td>${name}</td><td>${causeName(cause)}</td>
      </tr>`)}</tbody>
    </table>
    ${gaps.length > MAX_GAPS && html`<p class="muted">The first ${MAX_GAPS} are shown.</p>`}
  </details>`;
}

start(TimelinePage);
