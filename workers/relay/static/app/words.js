/** Words and numbers as the pages show them. Pure. */

const STATES = {
  live: "Live",
  completed: "Completed",
  failed: "Failed",
  refused: "Refused",
  drained: "Drained",
  lost: "Lost",
};

const ROLES = { customer: "Customer", agent: "Agent", mix: "Both speakers" };

const CAUSES = {
  carrier_loss: "lost by the carrier",
  backpressure: "came faster than the model accepted it",
  reconnect: "the model's session was replaced",
  model_mute: "the model ended without an answer",
  paused: "left out while the carrier paused",
  not_sent: "nothing sent by the carrier",
};

/** @param {string} state */
export const stateName = (state) => named(STATES, state);

/** @param {string} cause */
export const causeName = (cause) => named(CAUSES, cause);

/**
 * Returns the speaker's role if it is known, else the track.
 * @param {string | undefined} role
 * @param {string | undefined} track
 */
export const speakerName = (role, track) => named(ROLES, !role || role === "unknown" ? track || "Unknown" : role);

/**
 * Returns the class of a role's colors.
 * @param {string} role
 */
export const roleClass = (role) => (role === "agent" || role === "customer" ? role : "other");

/**
 * Returns `3 events`, or `1 event`.
 * @param {number} number
 * @param {string} noun
 */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/**
 * Returns a duration as `1:05` or `1:01:05`.
 * @param {number} ms
 */
export function clock(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/**
 * Returns a short span as `480 ms` or `1.2 s`.
 * @param {number} ms
 */
export const span = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : clock(ms));

/**
 * Returns the local time, with the date unless it is today's.
 * @param {string} iso
 */
export function when(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const isToday = date.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const day = isToday ? {} : { month: "short", day: "numeric" };
  return date.toLocaleString("en", /** @type {any} */ ({ ...day, ...time }));
}

/**
 * Returns the value below which `share` of the values lie; NaN if there are none.
 * @param {readonly number[]} values
 * @param {number} share
 */
export function percentile(values, share) {
  const ordered = Float64Array.from(values).sort();
  return ordered.length ? ordered[Math.min(ordered.length - 1, Math.floor(ordered.length * share))] : NaN;
}

/**
 * Returns the line for the end of a call.
 * @param {{ events: number, missing: number }} end
 */
export function completeness({ events, missing }) {
  if (!missing) return `Complete: ${count(events, "event")}, none missing.`;
  return `Incomplete: ${count(missing, "event")} of ${(events + missing).toLocaleString("en")} missing. Some words may be missing.`;
}

/**
 * @param {Record<string, string>} names
 * @param {string} key
 */
const named = (names, key) => (Object.hasOwn(names, key) ? names[key] : key);
