/** Scales and buckets of the timeline's curves. Pure. */

const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].map((s) => s * 1000);

/**
 * Returns round times between 0 and the duration, at most `limit` of them.
 * @param {number} durationMs
 * @param {number} limit
 */
export function ticks(durationMs, limit) {
  const least = durationMs / Math.max(1, limit);
  const step = STEPS_MS.find((each) => each >= least) ?? Math.ceil(least / 7_200_000) * 7_200_000;
  return Array.from({ length: Math.floor(durationMs / step) + 1 }, (_, at) => at * step);
}

/**
 * Returns the least round number that is not below the value: 1, 2 or 5 times a power of ten.
 * @param {number} value
 */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return ([1, 2, 5].find((each) => each * power >= value) ?? 10) * power;
}

/**
 * Returns the highest point of each bucket, so that a curve has at most one point per pixel and keeps its peaks.
 * @param {[number, number][]} points in any order
 * @param {number} durationMs
 * @param {number} buckets
 * @returns {[number, number][]}
 */
export function peaks(points, durationMs, buckets) {
  const highest = /** @type {[number, number][]} */ ([]);
  for (const point of points) {
    const at = Math.min(buckets - 1, Math.max(0, Math.floor((point[0] / Math.max(1, durationMs)) * buckets)));
    if (!highest[at] || highest[at][1] < point[1]) highest[at] = point;
  }
  return highest.filter(Boolean);
}

/**
 * Returns the total of intervals.
 * @param {[number, number, ...any][]} intervals
 */
export const total = (intervals) => intervals.reduce((sum, [from, to]) => sum + Math.max(0, to - from), 0);
