/** The list of calls, live. */

import { html, useEffect, useMemo, useState } from "../vendor/preact-htm.js";
import { RelayError, messages, pathOf } from "../callscribe.js";
import { Banner, ConnectionBanner, api, signIn, start, useTicks } from "./session.js";
import { SeverityIcon, severityClass, severityName, severityRank } from "./severity.js";
import { clock, count, speakerName, stateName, when } from "./words.js";

const SEARCH_MS = 250;
const MOST_ALERTS = 1000; // that the relay counts
const FILTERS = ["state", "carrier", "route"];
const ORDERS = /** @type {Record<string, { title: string, caption: string }>} */ ({
  newest: { title: "Newest first", caption: "Calls, live ones first, then the newest" },
  alerts: { title: "Alerts first", caption: "Calls, those with the most severe alerts first" },
});
const COLUMNS = [
  ["started", "Started"],
  ["duration", "Duration"],
  ["status", "State"],
  ["carrier", "Carrier"],
  ["route", "Route"],
  ["roles", "Speakers"],
  ["alerts", "Alerts"],
  ["words", "Last words"],
];

/** @param {{ session: any }} props */
function CallsPage({ session }) {
  const { calls, state, error } = useCalls();
  const [filter, setFilter] = useState(/** @type {Record<string, string>} */ ({}));
  const [query, setQuery] = useState("");
  const matches = useSearch(query, calls);
  const [order, setOrder] = useState("newest");
  const shown = useMemo(() => choose(matches ?? calls, filter, order), [matches, calls, filter, order]);
  const isScoped = Object.keys(session.scope ?? {}).length > 0;
  const live = [...calls.values()].filter((call) => call.state === "live").length;
  useKeys();
  return html`<main id="main" class="calls">
    <div class="title"><h1>Calls</h1>${state !== "connecting" && html`<span class="muted">${live} live</span>`}</div>
    <${ConnectionBanner} state=${state} />
    ${error === "expired" && html`<${Banner} tone="bad">Your session has ended. <button class="link" onClick=${signIn}>Sign in again</button><//>`}
    ${error && error !== "expired" && html`<${Banner} tone="bad">${error} Reload the page to try again.<//>`}
    <form class="filters" role="search" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <input id="search" type="search" placeholder="Search in live calls" aria-label="Search in live calls (press /)" maxlength="200"
        autocomplete="off" value=${query} onInput=${(/** @type {any} */ event) => setQuery(event.target.value)} />
      ${FILTERS.map((name) => html`<${Filter} key=${name} name=${name} calls=${calls} value=${filter[name] ?? ""}
        onChange=${(/** @type {string} */ value) => setFilter({ ...filter, [name]: value })} />`)}
      <select aria-label="Order" value=${order} onChange=${(/** @type {any} */ event) => setOrder(event.target.value)}>
        ${Object.entries(ORDERS).map(([name, { title }]) => html`<option key=${name} value=${name}>${title}</option>`)}
      </select>
    </form>
    ${query.trim() && html`<p class="wider"><a href=${`/search#${encodeURIComponent(query.trim())}`}>Search in finished calls, too</a></p>`}
    ${shown.length > 0 && html`<${Table} calls=${shown} caption=${ORDERS[order].caption} />`}
    ${!shown.length && html`<${Empty} state=${state} isNone=${!calls.size && !query} isScoped=${isScoped} />`}
    ${shown.length > 0 && html`<p class="keys muted"><kbd>j</kbd> <kbd>k</kbd> select · <kbd>Enter</kbd> open · <kbd>/</kbd> search</p>`}
  </main>`;
}

/** Follows the list of calls; publishes at most once per frame. */
function useCalls() {
  const [list, setList] = useState({ calls: /** @type {Map<string, any>} */ (new Map()), state: "connecting", error: "" });
  useEffect(() => {
    const stop = new AbortController();
    readCalls(stop.signal, setList);
    return () => stop.abort();
  }, []);
  return list;
}

/**
 * @param {AbortSignal} signal
 * @param {(list: any) => void} publish
 */
async function readCalls(signal, publish) {
  let calls = new Map();
  let frame = 0;
  const list = { state: "connecting", error: "" };
  const change = (/** @type {object} */ values) => {
    Object.assign(list, values);
    frame ||= setTimeout(() => {
      frame = 0;
      if (!signal.aborted) publish({ ...list, calls: new Map(calls) });
    }, 100);
  };
  try {
    for await (const { event, data } of messages({ url: "/api/calls/live", signal, onState: (state) => change({ state }) })) {
      const value = JSON.parse(data);
      if (event === "calls") calls = new Map(value.calls.map((/** @type {any} */ call) => [call.call_id, call]));
      else if (event === "call") calls.set(value.call_id, value);
      else if (event === "gone") calls.delete(value.call_id);
      else if (event === "expired") return change({ error: "expired", state: "failed" });
      change({});
    }
  } catch (error) {
    const isExpired = error instanceof RelayError && error.status === 401;
    change({ state: "failed", error: isExpired ? "expired" : "The list of calls cannot be shown." });
  }
}

/**
 * Searches on the relay; null without a query. A match of a call that is listed gets its newest summary.
 * @param {string} query
 * @param {Map<string, any>} calls
 */
function useSearch(query, calls) {
  const [found, setFound] = useState(/** @type {any[] | null} */ (null));
  useEffect(() => {
    const q = query.trim();
    if (!q) return setFound(null);
    const stop = new AbortController();
    const search = () =>
      api("/api/search", { method: "POST", body: { q: q.slice(0, 200) }, signal: stop.signal }).then(
        (answer) => setFound(answer.calls),
        () => stop.signal.aborted || setFound([]),
      );
    const timer = setTimeout(search, SEARCH_MS);
    return () => (clearTimeout(timer), stop.abort());
  }, [query]);
  return useMemo(
    () => found && new Map(found.map((call) => [call.call_id, { ...call, ...calls.get(call.call_id), match: call.match }])),
    [found, calls],
  );
}

/**
 * Returns the calls that pass the filters: live calls first, then the newest; or those with the most
 * severe alerts before them.
 * @param {Map<string, any>} calls
 * @param {Record<string, string>} filter
 * @param {string} order
 */
function choose(calls, filter, order) {
  const passes = (/** @type {any} */ call) => FILTERS.every((name) => !filter[name] || call[name] === filter[name]);
  const byAlerts = (/** @type {any} */ a, /** @type {any} */ b) =>
    order === "alerts" ? severityRank(b.severity) - severityRank(a.severity) || b.alerts - a.alerts : 0;
  const byTime = (/** @type {any} */ a, /** @type {any} */ b) =>
    Number(b.state === "live") - Number(a.state === "live") || (a.started < b.started ? 1 : -1);
  return [...calls.values()].filter(passes).sort((a, b) => byAlerts(a, b) || byTime(a, b));
}

/** @param {{ name: string, calls: Map<string, any>, value: string, onChange: (value: string) => void }} props */
function Filter({ name, calls, value, onChange }) {
  const values = [...new Set([...calls.values()].map((call) => call[name]))].filter(Boolean).sort();
  return html`<select aria-label=${`Filter by ${name}`} value=${value} onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>
    <option value="">${name[0].toUpperCase() + name.slice(1)}</option>
    ${values.map((each) => html`<option key=${each} value=${each}>${name === "state" ? stateName(each) : each}</option>`)}
  </select>`;
}

/** @param {{ calls: any[], caption: string }} props */
function Table({ calls, caption }) {
  useTicks(1000);
  return html`<table>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${COLUMNS.map(([name, title]) => html`<th key=${name} scope="col" class=${name}>${title}</th>`)}</tr></thead>
    <tbody>${calls.map((call) => html`<${Row} key=${call.call_id} call=${call} />`)}</tbody>
  </table>`;
}

/** @param {{ call: any }} props */
function Row({ call }) {
  const isLive = call.state === "live";
  const ms = isLive ? Date.now() - Date.parse(call.started) : call.duration_ms;
  return html`<tr>
    <td class="started"><a href=${`/calls/${pathOf(call.call_id)}`} title=${call.call_id}>${when(call.started)}<span class="unseen">, call ${call.call_id}</span></a></td>
    <td class="duration">${clock(ms)}</td>
    <td class="status"><span class="badge state ${call.state}" title=${call.reason}>${stateName(call.state)}</span></td>
    <td class="carrier" title=${call.carrier}>${call.carrier}</td>
    <td class="route" title=${call.route}>${call.route}</td>
    <td class="roles">${call.roles.map((/** @type {string} */ role) => speakerName(role, "")).join(", ")}</td>
    <td class="alerts"><${Alerts} call=${call} /></td>
    <td class="words"><${Words} call=${call} /></td>
  </tr>`;
}

/** @param {{ call: any }} props */
function Alerts({ call: { alerts, severity, gaps, missing } }) {
  return html`${alerts > 0 && html`<span class="badge ${severityClass(severity)}" title=${`The worst: ${severityName(severity)}`}><${SeverityIcon} severity=${severity} />${alerts < MOST_ALERTS ? count(alerts, "alert") : `${alerts.toLocaleString("en")}+ alerts`}<span class="unseen">, the worst: ${severityName(severity)}</span></span>`}
    ${missing > 0 && html`<span class="badge bad">${missing} missing</span>`}
    ${gaps > 0 && html`<span class="badge" title="Audio without words">${count(gaps, "gap")}</span>`}`;
}

/** @param {{ call: any }} props */
function Words({ call: { match, last } }) {
  if (match) return html`<p dir="auto"><mark>${match}</mark></p>`;
  if (!last) return null;
  return html`<p dir="auto" class=${last.final ? "" : "partial"}><span class="muted">${speakerName(last.role, "")}: </span>${last.text.trim()}</p>`;
}

/** @param {{ state: string, isNone: boolean, isScoped: boolean }} props */
function Empty({ state, isNone, isScoped }) {
  if (state === "connecting") return html`<p class="empty">Loading …</p>`;
  if (!isNone) return html`<p class="empty">No call matches.</p>`;
  return html`<div class="empty">
    <h2>No calls yet</h2>
    <p>Calls appear here as soon as they start.</p>
    ${!isScoped && html`<p>To try it on your machine, run <code>./run call</code> in a terminal.</p>`}
  </div>`;
}

/** Selects rows with j, k and the arrow keys; "/" moves to the search. */
function useKeys() {
  useEffect(() => {
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (event.key === "Escape" && isTyping) return /** @type {HTMLElement} */ (event.target).blur();
      if (isTyping) return;
      if (event.key === "/") document.getElementById("search")?.focus();
      else if (event.key === "j" || event.key === "ArrowDown") move(1);
      else if (event.key === "k" || event.key === "ArrowUp") move(-1);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

/** @param {number} step */
function move(step) {
  const links = [...document.querySelectorAll("tbody a")];
  const at = links.indexOf(/** @type {any} */ (document.activeElement));
  const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
  /** @type {HTMLElement | undefined} */ (next)?.focus();
}

start(CallsPage);
