/** The session, requests to the relay, and the header of all pages. */

import { html, render, useEffect, useState } from "../vendor/preact-htm.js";

const TIMEOUT_MS = 20_000;

/** The relay's answer to a request that failed. */
export class ApiError extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(typeof body?.error === "string" ? body.error : status ? `The relay answered with status ${status}.` : "The relay cannot be reached.");
    this.status = status;
    this.signIn = body?.sign_in ?? null;
    this.position = body?.position ?? -1; // of the fault in a query
  }
}

/**
 * Requests JSON from the relay; throws an ApiError.
 * @param {string} path
 * @param {{ method?: string, body?: unknown, signal?: AbortSignal }} [options]
 */
export async function api(path, { method = "GET", body, signal } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const headers = { Accept: "application/json", ...(body !== undefined && { "Content-Type": "application/json" }) };
  const init = {
    method,
    headers: method === "GET" ? headers : { ...headers, "X-Requested-With": "callscribe" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  const response = await fetch(path, init).catch((error) => {
    if (signal?.aborted) throw error;
    throw new ApiError(0, null);
  });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

/** Leaves for the sign-in page, which leads back here. */
export function signIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * Renders the page for the one who is signed in, or leaves for the sign-in page.
 * @param {any} Page
 * @param {any} props
 */
export async function start(Page, props = {}) {
  const root = /** @type {HTMLElement} */ (document.getElementById("root"));
  try {
    const session = await api("/api/session");
    render(html`<${Header} session=${session} /><${Page} session=${session} ...${props} />`, root);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return signIn();
    const { message } = /** @type {Error} */ (error);
    render(html`<${Header} /><main id="main" class="narrow"><h1>Callscribe</h1><${Banner} tone="bad">${message} Reload the page to try again.<//></main>`, root);
  }
}

/** @param {{ session?: any }} props */
export function Header({ session }) {
  const mayTalk = session?.may?.includes("mic");
  const current = (/** @type {string} */ path) => (location.pathname === path ? "page" : undefined);
  return html`<header class="top">
    <a class="skip" href="#main">Skip to content</a>
    <a class="brand" href="/" aria-label="Callscribe"><img src="/static/icon.svg" alt="" width="22" height="22" /><span>Callscribe</span></a>
    ${session && html`<nav aria-label="Pages">
      <a href="/" aria-current=${current("/")}>Calls</a>
      <a href="/search" aria-current=${current("/search")}>Search</a>
      ${mayTalk && html`<a href="/mic" aria-current=${current("/mic")}>Microphone</a>`}
    </nav>`}
    <div class="who">
      ${session && html`<span class="name" title=${`Signed in as ${session.name}, ${session.role}`}>${session.name}<span class="role"> · ${session.role}</span></span>`}
      ${session?.text === "redacted" && html`<span class="badge" title="Sensitive values are masked">redacted</span>`}
      <${ThemeButton} />
      ${session && html`<button class="quiet" onClick=${signOut}>Sign out</button>`}
    </div>
  </header>`;
}

async function signOut() {
  try {
    await api("/api/session", { method: "DELETE" });
  } finally {
    location.assign("/sign-in");
  }
}

/** Switches between light and dark; theme.js applies the choice on the next page. */
function ThemeButton() {
  const root = document.documentElement;
  const [isDark, setDark] = useState(
    () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark",
  );
  const toggle = () => {
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    setDark(!isDark);
  };
  const label = `Use the ${isDark ? "light" : "dark"} theme`;
  return html`<button class="icon" aria-label=${label} title=${label} onClick=${toggle}>
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" />
      <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
    </svg>
  </button>`;
}

/** @param {{ tone?: string, children?: any }} props */
export function Banner({ tone = "note", children }) {
  return html`<p class="banner ${tone}" role=${tone === "bad" ? "alert" : "status"}>${children}</p>`;
}

/** @param {{ state: string }} props */
export function ConnectionBanner({ state }) {
  if (state === "reconnecting") return html`<${Banner} tone="warn">The connection to the relay is lost. Reconnecting …<//>`;
  return null;
}

/**
 * Re-renders the component once per interval.
 * @param {number} ms
 */
export function useTicks(ms) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}
