/** Exchanges the token of a signed link for a session. */

import { html, render } from "../vendor/preact-htm.js";
import { ApiError, Header, api } from "./session.js";
import { pathOf } from "../callscribe.js";

const TEXTS = {
  expired: ["This link has expired", "Ask the person who sent it for a new one."],
  invalid: ["This link is not valid", "It may have been copied incompletely, or it belongs to another installation. Open it again from the message that you received."],
};

async function open() {
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  if (!token) return show("invalid");
  try {
    const { scope } = await api("/api/session", { method: "POST", body: { token } });
    location.replace(scope?.call_id ? `/calls/${pathOf(scope.call_id)}` : "/");
  } catch (error) {
    const { status, message } = /** @type {ApiError} */ (error);
    show(status === 401 ? message : "", message);
  }
}

/**
 * @param {string} reason
 * @param {string} message
 */
function show(reason, message = "") {
  const [title, text] = reason === "expired" || reason === "invalid" ? TEXTS[reason] : ["The link could not be opened", `${message} Try again in a moment.`];
  const root = /** @type {HTMLElement} */ (document.getElementById("root"));
  render(html`<${Header} /><main id="main" class="narrow"><h1>${title}</h1><p>${text}</p></main>`, root);
}

open();
