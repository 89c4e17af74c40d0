/** The page of one call: its transcript, live, with the figures of the call above it. */

import { html, useEffect, useMemo, useState } from "../vendor/preact-htm.js";
import { AlertsLink, Assist, useAssist } from "./assist.js";
import { citedIn } from "./assist-view.js";
import { asText } from "./call-view.js";
import { Banner, ConnectionBanner, api, signIn, start, useTicks } from "./session.js";
import { Transcript, chips, useCall } from "./transcript.js";
import { clock, percentile, roleClass, span, stateName, when } from "./words.js";

const LAG_MS = 10_000;
const callId = location.pathname.split("/")[2] ?? "";

/** @param {{ session: any }} props */
function CallPage({ session }) {
  const call = useCall(callId);
  const assist = useAssist(callId);
  const { view, state } = call;
  const error = call.error || (assist.error === "expired" ? "expired" : "");
  const isRedacted = session.text === "redacted";
  const hasBegun = view.transcript.events > 0;
  const summary = useSummary(hasBegun);
  const isCited = useCited(view, summary !== null);
  const isEnded = view.end !== null;
  const status = isEnded ? view.transcript.status : (summary?.state ?? (hasBegun ? "live" : "waiting"));
  const isLive = status === "live";
  useEffect(() => {
    document.title = `${callId} · Callscribe`;
  }, []);
  return html`<main id="main" class="call">
    <div class="title sticky">
      <h1 title=${callId}>${callId}</h1>
      <span class="badge state ${status}">${stateName(status)}</span>
      <${AlertsLink} assist=${assist.view} />
      ${isLive && !isEnded && view.lastLatency >= 0 && html`<small>latency ${span(view.lastLatency)}</small>`}
    </div>
    <div class="head">
      <${Facts} view=${view} summary=${summary} isEnded=${isEnded} mayLag=${session.may.includes("timeline")} />
      <${Talk} talk=${view.talk} />
      <div class="actions">
        <${CopyButton} view=${view} />
        ${session.may.includes("timeline") && html`<a class="button" href=${`/calls/${callId}/timeline`}>Timeline</a>`}
      </div>
    </div>
    <${ConnectionBanner} state=${state} />
    ${error === "expired" && html`<${Banner} tone="bad">Your session has ended. <button class="link" onClick=${signIn}>Sign in again</button><//>`}
    ${error && error !== "expired" && html`<${Banner} tone="bad">${error} <a href="/">All calls</a><//>`}
    <div class="body">
      <${Assist} assist=${assist} view=${view} isOver=${status !== "waiting" && !isLive} chips=${(/** @type {string} */ text) => (isRedacted ? chips(text) : text)} />
      ${summary && (!error || view.items.length > 0) && html`<${Transcript} call=${call} redacted=${isRedacted} isLive=${isLive && !error} assist=${assist.view} isCited=${isCited} />`}
    </div>
  </main>`;
}

/**
 * Shows the words that the URL cites, once they are there; returns whether they are not there yet.
 * @param {import("./call-view.js").CallView} view
 * @param {boolean} isShown whether its items are on the page
 */
function useCited(view, isShown) {
  const [cited, setCited] = useState(citedIn(location.hash));
  const item = cited && isShown && view.find(cited);
  useEffect(() => {
    if (!item) return;
    setCited(null);
    dispatchEvent(new Event("jump")); // the transcript stays there
    const line = `line-${item.key}`;
    location.replace(`#${line}`);
    // Lines that were never in view have an estimated height: they move when the browser shows them.
    requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(line)?.scrollIntoView()));
  }, [item]);
  return cited !== null;
}

/**
 * Loads what the list of calls shows about the call; again when a call that was unknown begins.
 * @param {boolean} hasBegun
 */
function useSummary(hasBegun) {
  const [summary, setSummary] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (summary?.call_id) return;
    api(`/api/calls/${callId}`).then(
      ({ call }) => setSummary(call),
      () => setSummary({}), // the call has not begun, or the events' stream shows why
    );
  }, [hasBegun]);
  return summary;
}

/** @param {{ view: import("./call-view.js").CallView, summary: any, isEnded: boolean, mayLag: boolean }} props */
function Facts({ view, summary, isEnded, mayLag }) {
  useTicks(1000);
  const { transcript, zero, lastLatency } = view;
  const lag = useLag(mayLag && summary?.state === "live" && !isEnded);
  const median = useMemo(() => percentile(transcript.latencies, 0.5), [Math.floor(transcript.latencies.length / 10)]);
  const duration = isEnded ? transcript.duration_ms : summary?.ended ? summary.duration_ms : Date.now() - zero;
  const facts = [
    ["Carrier", summary?.carrier || view.carrier],
    ["Route", summary?.route],
    ["Started", zero ? when(new Date(zero).toISOString()) : ""],
    ["Duration", zero ? clock(duration) : ""],
    ["Latency", lastLatency >= 0 ? span(lastLatency) : "", median >= 0 ? `median ${span(median)}` : ""],
    ["Model lag", lag === null ? "" : span(lag)],
  ];
  return html`<dl class="facts">
    ${facts.map(([name, value, more]) => value && html`<div key=${name}><dt>${name}</dt><dd>${value}${more && html` <small>${more}</small>`}</dd></div>`)}
  </dl>`;
}

/** Requests how far the model is behind, every few seconds. @param {boolean} isOn */
function useLag(isOn) {
  const [lag, setLag] = useState(/** @type {number | null} */ (null));
  useEffect(() => {
    if (!isOn) return setLag(null);
    const stop = new AbortController();
    const read = async () => {
      const { live } = await api(`/api/calls/${callId}/timeline?only=live`, { signal: stop.signal });
      const tracks = (live?.streams ?? []).flatMap((/** @type {any} */ stream) => stream.tracks);
      setLag(tracks.length ? Math.max(...tracks.map((/** @type {any} */ track) => track.lag_ms)) : null);
    };
    const tryRead = () => read().catch(() => setLag(null));
    tryRead();
    const timer = setInterval(tryRead, LAG_MS);
    return () => (clearInterval(timer), stop.abort());
  }, [isOn]);
  return lag;
}

/** @param {{ talk: import("./call-view.js").CallView["talk"] }} props */
function Talk({ talk }) {
  const speakers = [...talk].filter(([, { ms }]) => ms > 0).sort();
  if (!speakers.length) return null;
  return html`<div class="talk">
    <div class="bar" aria-hidden="true">
      ${speakers.map(([name, { role, ms }]) => html`<span key=${name} class=${roleClass(role)} style=${{ "--share": ms }}></span>`)}
    </div>
    <p>${speakers.map(([name, { role, ms }]) => html`<span key=${name} class=${roleClass(role)}><i aria-hidden="true"></i>${name} talked ${clock(ms)}</span>`)}</p>
  </div>`;
}

/** @param {{ view: import("./call-view.js").CallView }} props */
function CopyButton({ view }) {
  const [label, setLabel] = useState("Copy transcript");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(asText(view, clock));
      setLabel("Copied");
    } catch {
      setLabel("The browser does not allow copying here");
    }
    setTimeout(() => setLabel("Copy transcript"), 2500);
  };
  return html`<button class="button" onClick=${copy} disabled=${!view.items.length}><span aria-live="polite">${label}</span></button>`;
}

start(CallPage);
