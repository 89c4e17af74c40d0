/** How severe an alert is, by a word, a shape and a color. */

import { html } from "../vendor/preact-htm.js";

const NAMES = /** @type {Record<string, string>} */ ({ critical: "Critical", warning: "Warning", info: "Info" });
const RANKS = /** @type {Record<string, number>} */ ({ critical: 3, warning: 2, info: 1 });
const SHAPES = /** @type {Record<string, string>} */ ({
  critical: "M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2zM7.2 4v5h1.6V4zm0 6.4V12h1.6v-1.6z",
  warning: "M8 1.2 15.5 14.5H.5zM7.2 6v4.3h1.6V6zm0 5.4V13h1.6v-1.6z",
  info: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zM7.2 7v5h1.6V7zm0-3v1.7h1.6V4z",
});

/** @param {string} severity */
const isKnown = (severity) => Object.hasOwn(RANKS, severity);

/** Returns the name; that of a severity of a later version is its own. @param {string} severity */
export const severityName = (severity) => (isKnown(severity) ? NAMES[severity] : severity);

/** Returns a number that is higher for a worse severity. @param {string | null} severity */
export const severityRank = (severity) => (severity && isKnown(severity) ? RANKS[severity] : 0);

/** Returns the class of its colors. @param {string} severity */
export const severityClass = (severity) => (isKnown(severity) ? severity : "info");

/** @param {{ severity: string }} props */
export function SeverityIcon({ severity }) {
  return html`<svg class="severity" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path fill="currentColor" fill-rule="evenodd" d=${SHAPES[severityClass(severity)]} />
  </svg>`;
}
