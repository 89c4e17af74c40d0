/** The sign-in page. */

import { html, render } from "../vendor/preact-htm.js";
import { Header, api } from "./session.js";

/** Returns the page to show afterwards, if it is one of ours. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  const url = URL.canParse(wanted, location.origin) ? new URL(wanted, location.origin) : null;
  return url?.origin === location.origin ? url : new URL("/", location.origin);
}

async function show() {
  let hasOrganization = false;
  try {
    await api("/api/session");
    return location.replace(next().href);
  } catch (error) {
    hasOrganization = Boolean(/** @type {any} */ (error).signIn);
  }
  const root = /** @type {HTMLElement} */ (document.getElementById("root"));
  render(html`<${Header} /><main id="main" class="narrow">
    <h1>Sign in</h1>
    ${hasOrganization && html`<p><a class="button primary" href=${`/sign-in/oidc?next=${encodeURIComponent(next().pathname)}`}>Sign in with your organization</a></p>`}
    <p>${hasOrganization ? "Or open" : "Open"} a link that an administrator of Callscribe sent you. If you have none, ask for one.</p>
    <p class="muted">Administrators create links with <code>./run link</code>.</p>
  </main>`, root);
}

show();
