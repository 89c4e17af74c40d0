/** Sends audio of a microphone or a file to a gateway; the protocol is that of its carrier "browser". */

import { api } from "./session.js";

const RATE = 16_000; // the gateway's recommendation; PCM16 is little-endian, as are all browsers' typed arrays
const OPEN_MS = 10_000;
const CLOSE_MS = 5_000;
const MAX_BUFFERED = 30 * 2 * RATE; // 30 s of audio
const MAX_FILE = 200 * 1024 * 1024;

/** @type {Record<string, string>} */
const REFUSALS = {
  NotAllowedError: "The browser refused the microphone. Allow it for this page in the browser's site settings, then start again.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone cannot be opened. Another program may be using it.",
  OverconstrainedError: "The chosen microphone is not connected any more.",
  NotSupportedError: "This browser cannot convert the microphone's audio to 16 kHz. Use another browser, or choose a file.",
  EncodingError: "The browser cannot decode this file.",
};

/**
 * Returns what to show for an error.
 * @param {any} error
 */
export const explain = (error) => (Object.hasOwn(REFUSALS, error.name) ? REFUSALS[error.name] : error.message || String(error));

/** Returns why the page cannot record here, or nothing. */
export const obstacle = () =>
  isSecureContext && window.AudioWorklet
    ? ""
    : "The browser allows the microphone on secure pages only. Open this page over https, or on localhost.";

/**
 * Starts a call and sends the input's audio until `stop` is called, the input ends or the connection is lost.
 * @param {object} options
 * @param {File | null} options.file instead of the microphone
 * @param {string} options.deviceId empty for the default microphone
 * @param {(peak: number) => void} options.onLevel called for each 100 ms
 * @param {(problem: string) => void} options.onEnd called once, with an empty string if all audio was sent
 */
export async function send({ file, deviceId, onLevel, onEnd }) {
  const context = new AudioContext({ sampleRate: RATE });
  const release = [() => context.close()];
  const releaseAll = () => release.splice(0).forEach((each) => each());
  try {
    await context.audioWorklet.addModule("/static/app/pcm-worklet.js");
    const input = file ? await openFile(context, file) : await openMicrophone(context, deviceId, release);
    const label = (file?.name ?? "microphone").slice(0, 100);
    const { url, call_id: callId } = await api("/api/microphone", { method: "POST", body: { label } });
    const socket = await open(url);
    return { callId, stop: run({ context, input, socket, callId, releaseAll, onLevel, onEnd }) };
  } catch (error) {
    releaseAll();
    throw error;
  }
}

/**
 * Sends audio from now on; returns the function that stops it.
 * @param {any} options
 */
function run({ context, input, socket, callId, releaseAll, onLevel, onEnd }) {
  const worklet = new AudioWorkletNode(context, "pcm", { channelCount: 1, channelCountMode: "explicit" });
  let isEnded = false;
  const end = (/** @type {string} */ problem) => {
    if (isEnded) return;
    isEnded = true;
    releaseAll();
    socket.close();
    onEnd(problem);
  };
  const stop = () => worklet.port.postMessage("stop");
  worklet.port.onmessage = ({ data }) => {
    if (isEnded) return;
    if (data === null) {
      worklet.port.onmessage = null;
      releaseAll();
      return finish(socket, end);
    }
    if (data.audio.byteLength) socket.send(data.audio);
    onLevel(data.peak);
    if (socket.bufferedAmount > MAX_BUFFERED) end("The network is too slow for the audio.");
  };
  socket.onclose = (/** @type {CloseEvent} */ { code, reason }) => end(`The gateway closed the connection (${code}${reason && `, ${reason}`}).`);
  input.onEnd(stop);
  socket.send(JSON.stringify({ type: "start", call_id: callId, stream_id: streamId(), rate: RATE, track: "inbound" }));
  input.node.connect(worklet);
  input.start();
  return stop;
}

/**
 * Ends the stream; the gateway closes the socket when it has read everything.
 * @param {WebSocket} socket
 * @param {(problem: string) => void} end
 */
function finish(socket, end) {
  socket.onclose = () => end("");
  socket.send(JSON.stringify({ type: "stop" }));
  setTimeout(() => end(""), CLOSE_MS);
}

/**
 * @param {AudioContext} context
 * @param {string} deviceId
 * @param {(() => void)[]} release
 */
async function openMicrophone(context, deviceId, release) {
  const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, ...(deviceId && { deviceId: { exact: deviceId } }) };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const [track] = stream.getAudioTracks();
  release.push(() => track.stop());
  const node = context.createMediaStreamSource(stream);
  return { node, start: () => context.resume(), onEnd: (/** @type {() => void} */ stop) => (track.onended = stop) };
}

/**
 * @param {AudioContext} context
 * @param {File} file
 */
async function openFile(context, file) {
  if (file.size > MAX_FILE) throw new Error("The file is larger than 200 MB.");
  const node = context.createBufferSource();
  node.buffer = await context.decodeAudioData(await file.arrayBuffer());
  node.connect(context.destination);
  return { node, start: () => (context.resume(), node.start()), onEnd: (/** @type {() => void} */ stop) => (node.onended = stop) };
}

/**
 * @param {string} url
 * @returns {Promise<WebSocket>}
 */
function open(url) {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    const fail = () => {
      socket.close();
      reject(new Error("The gateway cannot be reached from this browser."));
    };
    const timer = setTimeout(fail, OPEN_MS);
    socket.onerror = fail;
    socket.onopen = () => {
      clearTimeout(timer);
      socket.onerror = null;
      resolve(socket);
    };
  });
}

const streamId = () => `browser-${crypto.randomUUID()}`;
