/** The search in all calls, live and finished. The query is in the fragment, which no server sees. */

import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { pathOf } from "../callscribe.js";
import { linkTo } from "./assist-view.js";
import { Banner, api, signIn, start } from "./session.js";
import { MASK, chips } from "./transcript.js";
import { clock, roleClass, speakerName, when } from "./words.js";

const ORDERS = { newest: "Newest first", best: "Best first" };
const EXAMPLES = [
  ["refund", "this word; case and accents do not matter"],
  ['"bank account"', "these words, one after another"],
  ["pay* -cancel", "words that begin with pay, without cancel"],
  ["refund role:agent from:7d", "said by the agent in the last seven days"],
  ["alert:critical", "calls with a critical alert"],
];

/** @typedef {{ results: any[], next: string | null, complete: boolean, text: string }} Found */

function SearchPage() {
  const query = useQuery();
  const [order, setOrder] = useState("newest");
  const search = useResults(query, order);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    if (field.current) field.current.value = query;
  }, [query]);
  const submit = (/** @type {any} */ event) => {
    event.preventDefault();
    location.hash = encodeURIComponent(event.target.elements.q.value.trim());
  };
  return html`<main id="main" class="search">
    <div class="title"><h1>Search</h1></div>
    <form role="search" onSubmit=${submit}>
      <input ref=${field} id="search" name="q" type="search" autofocus autocomplete="off" maxlength="500"
        placeholder="Words that were said" aria-label="Search in all calls" aria-describedby="problem" aria-invalid=${search.position >= 0} />
      <button class="button primary">Search</button>
      <select aria-label="Order" value=${order} onChange=${(/** @type {any} */ event) => setOrder(event.target.value)}>
        ${Object.entries(ORDERS).map(([name, title]) => html`<option key=${name} value=${name}>${title}</option>`)}
      </select>
    </form>
    <div id="problem"><${Problem} search=${search} query=${query} /></div>
    ${query ? html`<${Results} search=${search} />` : html`<${Help} />`}
  </main>`;
}

/** Follows the query in the fragment, so that each search is an entry of the tab's history. */
function useQuery() {
  const [query, setQuery] = useState(queryOf(location.hash));
  useEffect(() => {
    const read = () => setQuery(queryOf(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return query;
}

/** @param {string} hash */
function queryOf(hash) {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return hash.slice(1);
  }
}

/**
 * Searches when the query or the order changes; `more` continues.
 * @param {string} query
 * @param {string} order
 */
function useResults(query, order) {
  const nothing = { results: /** @type {any[]} */ ([]), next: "", complete: true, text: "", isBusy: false, error: "", position: -1 };
  const [found, setFound] = useState(nothing);
  const ask = async (/** @type {string} */ after, /** @type {AbortSignal | undefined} */ signal) => {
    const known = after ? found : nothing;
    setFound({ ...known, isBusy: true });
    try {
      const page = await api("/api/search/segments", { method: "POST", body: { q: query, order, after }, signal });
      setFound({ ...nothing, ...page, results: [...known.results, ...page.results] });
    } catch (/** @type {any} */ error) {
      if (signal?.aborted) return;
      if (error.status === 401) return signIn();
      setFound({ ...known, error: error.message, position: error.position });
    }
  };
  useEffect(() => {
    const stop = new AbortController();
    if (query) ask("", stop.signal);
    else setFound(nothing);
    document.title = `${query || "Search"} · Callscribe`;
    return () => stop.abort();
  }, [query, order]);
  return { ...found, more: () => ask(found.next) };
}

/** @param {{ search: ReturnType<typeof useResults>, query: string }} props */
function Problem({ search: { error, position, complete }, query }) {
  if (position >= 0) {
    const at = query.slice(position, position + 20);
    return html`<${Banner} tone="bad">${error}${at && html`: <code>${at}</code>`}<//>`;
  }
  if (error) return html`<${Banner} tone="bad">${error}<//>`;
  return !complete && html`<${Banner} tone="warn">The search took too long and was ended: there may be more. Add words, or a time such as <code>from:7d</code>.<//>`;
}

/** @param {{ search: ReturnType<typeof useResults> }} props */
function Results({ search: { results, next, text, isBusy, error, more } }) {
  if (!results.length) return isBusy ? html`<p class="empty">Searching …</p>` : !error && html`<p class="empty">Nothing was found.</p>`;
  return html`<div class="results" aria-busy=${isBusy}>
    ${byCall(results).map((hits) => html`<${Call} key=${placeOfHit(hits[0])} hits=${hits} isRedacted=${text === "redacted"} />`)}
    ${next ? html`<button class="button" disabled=${isBusy} onClick=${more}>More</button>` : html`<p class="muted">No more results.</p>`}
  </div>`;
}

/** Returns runs of hits of the same call. @param {any[]} results */
function byCall(results) {
  const runs = /** @type {any[][]} */ ([]);
  for (const hit of results) {
    if (runs.at(-1)?.[0].call_id === hit.call_id) runs.at(-1)?.push(hit);
    else runs.push([hit]);
  }
  return runs;
}

/** @param {any} hit */
const placeOfHit = ({ call_id, stream_id, track, segment, start_ms }) => `${call_id} ${stream_id} ${track} ${segment} ${start_ms}`;

/** @param {{ hits: any[], isRedacted: boolean }} props */
function Call({ hits, isRedacted }) {
  const [{ call_id, at, carrier, route, tenant, disposition, alerts, gap_ms }] = hits;
  return html`<section aria-label=${`Call ${call_id}`}>
    <h2><a href=${`/calls/${pathOf(call_id)}`}>${call_id}</a></h2>
    <p class="about muted">
      <time datetime=${at}>${when(at)}</time>${[carrier, route, tenant].map((each) => each && html`<span>${each}</span>`)}
      ${disposition && html`<span class="badge" dir="auto" title="Disposition">${disposition}</span>`}
      ${alerts.map((/** @type {string} */ rule) => html`<span key=${rule} class="badge warn" title="Alert">${rule}</span>`)}
      ${gap_ms > 0 && html`<span class="badge" title="Audio without words">gaps</span>`}
    </p>
    <ol>${hits.map((hit) => html`<${Hit} key=${placeOfHit(hit)} hit=${hit} isRedacted=${isRedacted} />`)}</ol>
  </section>`;
}

/** @param {{ hit: any, isRedacted: boolean }} props */
function Hit({ hit, isRedacted }) {
  const { call_id, role, track, start_ms, text, highlights } = hit;
  return html`<li class=${roleClass(role)}>
    <a href=${linkTo(call_id, hit)}>
      <time>${clock(start_ms)}</time><span class="speaker">${speakerName(role, track)}</span>
      <span class="said" dir="auto">${isRedacted ? marked(text, outsideMasks(text, highlights), chips) : marked(text, highlights)}</span>
    </a>
  </li>`;
}

/**
 * Returns the text with its matches marked.
 * @param {string} text
 * @param {[number, number][]} highlights
 * @param {(part: string) => any} plain shows what is between the matches
 */
function marked(text, highlights, plain = (part) => part) {
  let end = 0;
  const parts = highlights.map(([from, to]) => {
    const part = [plain(text.slice(end, from)), html`<mark>${text.slice(from, to)}</mark>`];
    end = to;
    return part;
  });
  return [...parts, plain(text.slice(end))];
}

/**
 * Returns the matches that are not in a mask: the search knows masks as words.
 * @param {string} text
 * @param {[number, number][]} highlights
 */
function outsideMasks(text, highlights) {
  const masks = [...text.matchAll(MASK)];
  return highlights.filter(([from]) => !masks.some(({ 0: mask, index }) => index <= from && from < index + mask.length));
}

function Help() {
  return html`<dl class="help">${EXAMPLES.map(([query, meaning]) => html`<div key=${query}>
    <dt><a href=${`#${encodeURIComponent(query)}`}><code>${query}</code></a></dt><dd class="muted">${meaning}</dd>
  </div>`)}</dl>`;
}

start(SearchPage);
