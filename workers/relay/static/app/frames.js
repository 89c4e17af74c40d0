/** Re-renders at most once per frame. */

const HIDDEN_MS = 250;

/**
 * Returns a function that has `show` called at the next frame, once, however often it is called.
 * @param {() => void} show
 */
export function perFrame(show) {
  let frame = 0;
  const run = () => {
    frame = 0;
    show();
  };
  return () => {
    // A hidden tab has no frames.
    frame ||= document.hidden ? setTimeout(run, HIDDEN_MS) : requestAnimationFrame(run);
  };
}
