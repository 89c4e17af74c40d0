/** The alerts and the wrap-up of one call, beside its transcript. */

import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { RelayError, followAssist } from "../callscribe.js";
import { AssistView, isOpen, streamOf } from "./assist-view.js";
import { perFrame } from "./frames.js";
import { SeverityIcon, severityClass, severityName, severityRank } from "./severity.js";
import { clock, count, roleClass, speakerName } from "./words.js";

const FIRST = 8; // alerts that are shown, before the reader asks for more
const FIRST_NARROW = 3;
const MORE = 50;
const MAX_SENTENCES = 40;
const MAX_CITATIONS = 8; // of one sentence
const MAX_TEXT = 2000;
const BACKLOG = 3; // more critical alerts than these at once were raised before the page was opened
const WIDE = matchMedia("(min-width: 76rem)"); // as in call.css

/**
 * Follows the alerts and wrap-ups of a call while the page is visible: a browser opens few
 * connections to a site at once, and each of its tabs holds one for the transcript.
 * @param {string} callId
 * @returns {{ view: AssistView, version: number, state: string, error: string, raised: any[] }}
 */
export function useAssist(callId) {
  const [assist, setAssist] = useState(() => ({ view: new AssistView(), version: 0, state: "connecting", error: "", raised: /** @type {any[]} */ ([]) }));
  useEffect(() => {
    const stop = new AbortController();
    readAssist(callId, stop.signal, setAssist);
    return () => stop.abort();
  }, [callId]);
  return assist;
}

/**
 * @param {string} callId
 * @param {AbortSignal} signal
 * @param {(assist: any) => void} publish
 */
async function readAssist(callId, signal, publish) {
  const view = new AssistView();
  const assist = { view, state: "connecting", error: "", raised: /** @type {any[]} */ ([]) };
  const show = perFrame(() => {
    if (!signal.aborted) publish({ ...assist, version: view.version });
    assist.raised = [];
  });
  const change = (/** @type {object} */ values) => show(Object.assign(assist, values));
  let after = "";
  try {
    while (!signal.aborted) {
      const visible = await untilVisible(signal);
      for await (const event of followAssist({ callId, after, signal: visible, onState: (state) => change({ state }) })) {
        after = event.id;
        if (view.apply(event)) assist.raised.push(event);
        change({});
      }
    }
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    change({ state: "failed", error: error.status === 401 ? "expired" : error.message });
  }
}

/**
 * Waits until the page is visible; returns a signal that is aborted when it is hidden again.
 * @param {AbortSignal} signal
 * @returns {Promise<AbortSignal>}
 */
function untilVisible(signal) {
  const hidden = new AbortController();
  const either = AbortSignal.any([signal, hidden.signal]);
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden) hidden.abort();
      else resolve(either);
    };
    document.addEventListener("visibilitychange", check, { signal: either });
    if (!document.hidden || signal.aborted) resolve(either);
  });
}

/**
 * The panels, or nothing.
 * @param {{ assist: ReturnType<typeof useAssist>, view: import("./call-view.js").CallView, isOver: boolean, chips: (text: string) => any }} props
 */
export function Assist({ assist, view, isOver, chips }) {
  const { view: own, state } = assist;
  const wrapups = view.items.length ? own.wrapups : [];
  const alerts = view.items.length > 0 && own.alerts.size > 0 && html`<${Alerts} key="alerts" assist=${own} view=${view} />`;
  const wrapup = wrapups.length > 0 && html`<${Wrapups} key="wrapups" wrapups=${wrapups} view=${view} chips=${chips} />`;
  const problem = state === "reconnecting" && html`<p key="problem" class="muted">Alerts and summaries can't be read now. Trying again …</p>`;
  return html`<div class="beside">
    ${(alerts || wrapup || problem) && html`<aside aria-label="Alerts and summary">${isOver ? [wrapup, alerts, problem] : [alerts, wrapup, problem]}</aside>`}
    <${Announcer} raised=${assist.raised} />
  </div>`;
}

/** A link to the alerts, for screens on which they are far above the newest words. @param {{ assist: AssistView }} props */
export function AlertsLink({ assist }) {
  if (!assist.open) return null;
  const worst = worstOf(assist);
  return html`<a class="badge to-alerts ${severityClass(worst)}" href="#alerts">
    <${SeverityIcon} severity=${worst} />${assist.dropped ? `${number(assist.open, assist.dropped)} alerts` : count(assist.open, "alert")}<span class="unseen">, the worst: ${severityName(worst)}</span>
  </a>`;
}

/** @param {AssistView} assist */
const worstOf = (assist) => [...assist.severities].sort((a, b) => severityRank(b) - severityRank(a))[0] ?? "info";

/** @param {{ assist: AssistView, view: import("./call-view.js").CallView }} props */
function Alerts({ assist, view }) {
  const [limit, setLimit] = useState(WIDE.matches ? FIRST : FIRST_NARROW);
  const { open, dropped } = assist;
  const shown = assist.newest(limit);
  const more = assist.alerts.size - shown.length;
  return html`<section class="alerts" id="alerts" aria-labelledby="alerts-title">
    <h2 id="alerts-title">Alerts <span class="muted">${open ? `${number(open, dropped)} open` : "none open"}</span></h2>
    <ol>${shown.map((alert) => html`<${Alert} key=${alert.alert} alert=${alert} view=${view} />`)}</ol>
    ${more > 0 && html`<button class="quiet more" onClick=${() => setLimit(limit + MORE)}>Show ${Math.min(more, MORE)} of ${more.toLocaleString("en")} more</button>`}
    ${more === 0 && dropped > 0 && html`<p class="muted">${count(dropped, "older alert")} not shown</p>`}
  </section>`;
}

/** @param {number} open @param {number} dropped */
const number = (open, dropped) => `${open.toLocaleString("en")}${dropped ? "+" : ""}`;

/** @param {{ alert: import("./assist-view.js").Alert, view: import("./call-view.js").CallView }} props */
function Alert({ alert, view }) {
  const { severity, title, role, track, start_ms, at } = alert;
  const who = role || track ? speakerName(role, track) : "";
  const name = isOpen(alert) ? html`<span dir="auto">${title}</span>` : html`<s dir="auto">${title}</s>`;
  const time = start_ms === undefined ? Date.parse(at) : view.timeOf(streamOf(alert), start_ms, at);
  const item = view.find(alert) ?? (start_ms === undefined ? null : view.before(time));
  return html`<li class="alert ${severityClass(severity)} ${isOpen(alert) ? "" : "withdrawn"}">
    <${SeverityIcon} severity=${severity} />
    <p class="what">${item ? html`<${Jump} item=${item}>${name}<//>` : name}</p>
    <p class="where"><b>${severityName(severity)}</b>${who && html`<span>${who}</span>`}<time>${clock(time - view.zero)}</time>
      ${!isOpen(alert) && html`<span class="why">Withdrawn: the words were corrected</span>`}</p>
  </li>`;
}

/** The alerts that cite an utterance. @param {{ alerts: readonly import("./assist-view.js").Alert[] }} props */
export function Marks({ alerts }) {
  const ordered = [...alerts].sort((a, b) => severityRank(b.severity) - severityRank(a.severity));
  const more = ordered.length - FIRST_NARROW;
  return html`<div class="flags">
    ${ordered.slice(0, FIRST_NARROW).map(({ alert, severity, title }) => html`<span key=${alert} class="flag ${severityClass(severity)}">
      <${SeverityIcon} severity=${severity} /><span><b>${severityName(severity)}:</b> <span dir="auto">${title}</span></span>
    </span>`)}
    ${more > 0 && html`<span class="muted">and ${count(more, "more alert")}</span>`}
  </div>`;
}

/** @param {{ wrapups: import("./assist-view.js").Wrapup[], view: import("./call-view.js").CallView, chips: (text: string) => any }} props */
function Wrapups({ wrapups, view, chips }) {
  const [newest, ...earlier] = wrapups;
  return html`<section class="wrapup" aria-labelledby="wrapup-title">
    <h2 id="wrapup-title">Summary</h2>
    <${Wrapup} wrapup=${newest} view=${view} chips=${chips} />
    ${earlier.length > 0 && html`<details>
      <summary>${`${earlier.length} earlier ${earlier.length === 1 ? "summary" : "summaries"}`}</summary>
      ${earlier.map((each) => html`<${Wrapup} key=${each.id} wrapup=${each} view=${view} chips=${chips} />`)}
    </details>`}
  </section>`;
}

/** @param {{ wrapup: import("./assist-view.js").Wrapup, view: import("./call-view.js").CallView, chips: (text: string) => any }} props */
function Wrapup({ wrapup, view, chips }) {
  const { made_from, model, trigger, at, disposition, summary, follow_ups } = wrapup;
  const when = trigger === "requested" ? ` during the call, at ${clock(Date.parse(at) - view.zero)}` : "";
  return html`<div class="wrapped">
    ${disposition && html`<p class="disposition"><span class="muted">Disposition</span> <span class="badge" dir="auto">${disposition}</span></p>`}
    <${Sentences} sentences=${summary} view=${view} chips=${chips} />
    ${follow_ups.length > 0 && html`<h3>Follow-ups</h3><${Sentences} sentences=${follow_ups} view=${view} chips=${chips} isList=${true} />`}
    <p class="made">Made from ${made_from} text by <span dir="auto">${model}</span>${when}. Each time leads to the words behind it.</p>
  </div>`;
}

/** @param {{ sentences: import("../callscribe.js").CitedSentence[], view: import("./call-view.js").CallView, chips: (text: string) => any, isList?: boolean }} props */
function Sentences({ sentences, view, chips, isList = false }) {
  const more = sentences.length - MAX_SENTENCES;
  return html`<ul class="sentences ${isList ? "list" : ""}">
    ${sentences.slice(0, MAX_SENTENCES).map(({ text, citations }, at) => html`<li key=${at}>
      <span dir="auto">${chips(text.slice(0, MAX_TEXT))}</span>${citations.slice(0, MAX_CITATIONS).map((each) => html` <${Cited} citation=${each} view=${view} />`)}
    </li>`)}
    ${more > 0 && html`<li class="muted">and ${count(more, "more sentence")}</li>`}
  </ul>`;
}

/** @param {{ citation: import("../callscribe.js").Citation, view: import("./call-view.js").CallView }} props */
function Cited({ citation, view }) {
  const item = view.find(citation);
  const at = clock(view.timeOf(citation.stream_id, citation.start_ms) - view.zero);
  if (!item) return html`<span class="cite muted">${at}</span>`;
  const role = item.segment?.role ?? "";
  return html`<${Jump} item=${item} class="cite ${roleClass(role)}" label=${`${item.speaker}, ${at}: go to the words`}>${at}<//>`;
}

/**
 * A link to an utterance. Where the panels stay in view, it adds nothing to the tab's history.
 * @param {{ item: import("./call-view.js").Item, label?: string, class?: string, children?: any }} props
 */
function Jump({ item, label, class: name, children }) {
  const target = `#line-${item.key}`;
  const go = (/** @type {MouseEvent} */ event) => {
    dispatchEvent(new Event("jump")); // the transcript stays there
    if (!WIDE.matches || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.replace(target);
  };
  return html`<a href=${target} class=${name} aria-label=${label} onClick=${go}>${children}</a>`;
}

/** Announces critical alerts to screen readers. @param {{ raised: any[] }} props */
function Announcer({ raised }) {
  const critical = raised.filter(({ severity }) => severity === "critical");
  const said = critical.length <= BACKLOG ? critical.map(({ title }) => `Critical alert: ${title}`) : [];
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    for (const text of said) {
      const line = document.createElement("p");
      line.textContent = text;
      ref.current?.append(line);
    }
    while (ref.current && ref.current.childElementCount > 5) ref.current.firstElementChild?.remove();
  }, [raised]);
  return html`<div class="unseen" role="log" aria-live="polite" aria-label="Critical alerts" ref=${ref}></div>`;
}
