/** The drawing of one stream: a lane for each track, and the latency below. */

import { html } from "../vendor/preact-htm.js";
import { peaks, roundUp, ticks } from "./scale.js";
import { causeName, clock, roleClass, span, speakerName } from "./words.js";

const LANE = 48;
const BAR = 22;
const CURVE = 120;
const AXIS = 24;
const LEFT = 92;
const RIGHT = 12;
const NARROW = 600; // the names of the lanes are above them
const BREAK_MS = 5000; // a curve is interrupted where nobody spoke for longer
const BUCKET = 2; // pixels
const MAX_STOPS = 100; // more marks than these are not reachable with Tab; the table below lists them

/** @param {{ stream: any, lags: any[], width: number, onDetail: (text: string) => void }} props */
export function Chart({ stream, lags, width, onDetail }) {
  const isNarrow = width < NARROW;
  const left = isNarrow ? 0 : LEFT;
  const inner = Math.max(50, width - left - (isNarrow ? 0 : RIGHT));
  const duration = Math.max(1000, stream.duration_ms);
  const x = (/** @type {number} */ ms) => left + (Math.min(duration, Math.max(0, ms)) / duration) * inner;
  const lanes = stream.tracks.length * LANE;
  const height = lanes + AXIS + CURVE + 12;
  const place = { x, left, inner, duration, onDetail, label: isNarrow ? 18 : 0 };
  return html`<svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="group" aria-label="Drawing of the figures below">
    <defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect class="hatch-back" width="6" height="6" /><rect class="hatch-line" width="2.5" height="6" />
    </pattern></defs>
    ${stream.pauses.map(([from, to]) => html`<${Pause} key=${from} from=${from} to=${to ?? duration} height=${lanes} place=${place} />`)}
    ${stream.tracks.map((/** @type {any} */ track, /** @type {number} */ at) => html`<${Lane} key=${track.track} track=${track} y=${at * LANE} place=${place} />`)}
    <${Axis} y=${lanes} place=${place} />
    <${Curves} stream=${stream} lags=${lags} y=${lanes + AXIS} place=${place} />
  </svg>`;
}

/** @param {{ track: any, y: number, place: any }} props */
function Lane({ track, y, place }) {
  const { x, left, inner } = place;
  const name = speakerName(track.role, track.track);
  const top = y + (LANE - BAR) / 2 + place.label / 2;
  const marks = track.gaps.length + track.reconnects.length + track.rollovers.length;
  const at = (/** @type {string} */ text) => ({ ...marked(`${name}: ${text}`, place), tabindex: marks <= MAX_STOPS ? 0 : undefined });
  const wide = (/** @type {number} */ from, /** @type {number} */ to, least = 2) => ({ x: x(from), width: Math.max(least, x(to) - x(from)), y: top, height: BAR });
  return html`<g class=${roleClass(track.role)}>
    <text class="lane-name" x=${place.label ? left : 0} y=${place.label ? y + 12 : y + LANE / 2 + 5}>${name}</text>
    <rect class="lane" x=${left} width=${inner} y=${top} height=${BAR} rx="4" />
    ${track.segments.map(([from, to]) => html`<rect class="words" rx="2" ...${wide(from, to, 0.5)} />`)}
    ${track.gaps.map(([from, to, cause]) => html`<rect class="gap" fill="url(#hatch)" rx="2" ...${wide(from, to)}
      ...${at(`${span(to - from)} without words at ${clock(from)}: ${causeName(cause)}`)} />`)}
    ${track.rollovers.map((/** @type {number} */ ms) => html`<path class="rollover" d=${`M${x(ms)} ${top - 5}l5 5-5 5-5-5z`} ...${at(`session rollover at ${clock(ms)}`)} />`)}
    ${track.reconnects.map((/** @type {number} */ ms) => html`<path class="reconnect" d=${`M${x(ms) - 5} ${top - 6}h10l-5 9z`} ...${at(`reconnected at ${clock(ms)}`)} />`)}
  </g>`;
}

/** @param {{ from: number, to: number, height: number, place: any }} props */
function Pause({ from, to, height, place }) {
  const { x } = place;
  const text = `Paused by the carrier from ${clock(from)} to ${clock(to)}`;
  return html`<rect class="pause" x=${x(from)} width=${Math.max(2, x(to) - x(from))} y="0" height=${height} tabindex="0" ...${marked(text, place)} />`;
}

/**
 * Returns the properties of a mark with details.
 * @param {string} text
 * @param {any} place
 */
function marked(text, { onDetail }) {
  const show = () => onDetail(text);
  return { role: "img", "aria-label": text, onMouseEnter: show, onFocus: show };
}

/** @param {{ y: number, place: any }} props */
function Axis({ y, place: { x, inner, duration } }) {
  return html`<g class="axis">${ticks(duration, inner / 80).map((ms) => html`<g key=${ms}>
    <line x1=${x(ms)} x2=${x(ms)} y1=${y} y2=${y + AXIS + CURVE} />
    ${x(ms) < x(duration) - 40 && html`<text x=${x(ms) + 4} y=${y + 16}>${clock(ms)}</text>`}
  </g>`)}</g>`;
}

/** @param {{ stream: any, lags: any[], y: number, place: any }} props */
function Curves({ stream, lags, y, place: { x, left, inner, duration, label } }) {
  const curve = (/** @type {[number, number][]} */ points) => peaks(points, duration, Math.floor(inner / BUCKET));
  const latencies = stream.tracks.map((/** @type {any} */ track) => ({ ...track, points: curve(track.latency) }));
  const behind = lags.map((lag) => ({ ...lag, points: curve(lag.points), role: stream.tracks.find((/** @type {any} */ each) => each.track === lag.track)?.role }));
  const top = roundUp(Math.max(100, ...[...latencies, ...behind].flatMap(({ points }) => points.map((/** @type {[number, number]} */ point) => point[1]))));
  const up = (/** @type {number} */ ms) => y + CURVE - (ms / top) * (CURVE - 16);
  const longest = Math.max(BREAK_MS, (3 * BUCKET * duration) / inner);
  const step = (/** @type {number} */ at, /** @type {number} */ before) => (at - before < longest ? "L" : "M");
  const path = (/** @type {[number, number][]} */ points) =>
    points.map(([at, ms], i) => `${step(at, points[i - 1]?.[0] ?? -Infinity)}${x(at).toFixed(1)} ${up(ms).toFixed(1)}h0`).join("");
  const levels = [0, top / 2, top];
  return html`<g>
    <g class="axis">${levels.map((ms) => html`<line key=${ms} x1=${left} x2=${left + inner} y1=${up(ms)} y2=${up(ms)} />`)}</g>
    ${latencies.map(({ track, role, points }) => html`<path key=${track} class="latency ${roleClass(role)}" d=${path(points)} />`)}
    ${behind.map(({ track, role, points }) => html`<path key=${`lag ${track}`} class="lag ${roleClass(role)}" d=${path(points)} />`)}
    ${levels.map((ms) => (ms > 0 || !label) && html`<text key=${ms} class="right" x=${label ? left + inner : left - 8} y=${label ? up(ms) - 3 : up(ms) + 5}>${span(ms)}</text>`)}
  </g>`;
}
