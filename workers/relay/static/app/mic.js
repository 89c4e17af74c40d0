/** The page that transcribes this computer's microphone, or a file. */

import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { explain, obstacle, send } from "./microphone.js";
import { Banner, ConnectionBanner, start } from "./session.js";
import { Transcript, useCall } from "./transcript.js";
import { percentile, span } from "./words.js";

const SILENCE = 30; // messages of 100 ms
const QUIET = 0.003; // of full scale

/** @param {{ session: any }} props */
function MicPage({ session }) {
  const [deviceId, setDeviceId] = useState("");
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const [problem, setProblem] = useState(obstacle());
  const recorder = useRecorder(setProblem);
  const { state, callId, isSilent, level, begin, stop } = recorder;
  const isIdle = state === "idle";
  const isBlocked = obstacle() !== "" || !session.may.includes("mic");
  return html`<main id="main" class="call mic">
    <div class="head">
      <div class="title"><h1>Microphone</h1>${callId && html`<a href=${`/calls/${callId}`}>${callId}</a>`}</div>
      <p class="muted">Speak, or choose a file, and read along. This makes a call like any other.</p>
      <div class="inputs">
        <${Devices} value=${deviceId} isRecording=${state === "recording"} isOff=${!isIdle || file !== null} onChange=${setDeviceId} />
        <${FileInput} file=${file} isOff=${!isIdle} onChange=${setFile} />
      </div>
      <div class="actions">
        ${isIdle && html`<button class="button primary" disabled=${isBlocked} onClick=${() => begin({ file, deviceId })}>
          ${file ? "Play and transcribe" : "Start speaking"}
        </button>`}
        ${state === "starting" && html`<button class="button" disabled>Starting …</button>`}
        ${state === "recording" && html`<button class="button stop" onClick=${stop}><i aria-hidden="true"></i>Stop</button>`}
        ${state === "recording" && html`<div class="level" ref=${level} aria-hidden="true"></div>`}
      </div>
    </div>
    ${!session.may.includes("mic") && html`<${Banner} tone="bad">You may not use the microphone here. Ask an administrator of Callscribe.<//>`}
    ${problem && html`<${Banner} tone="bad">${problem}<//>`}
    ${isSilent && html`<${Banner} tone="warn">No sound is coming in. Is the microphone muted, or another one chosen?<//>`}
    ${callId && html`<${Words} key=${callId} callId=${callId} redacted=${session.text === "redacted"} />`}
  </main>`;
}

/**
 * Runs one recording at a time.
 * @param {(problem: string) => void} setProblem
 */
function useRecorder(setProblem) {
  const [state, setState] = useState("idle");
  const [callId, setCallId] = useState("");
  const [isSilent, setSilent] = useState(false);
  const level = useRef(/** @type {HTMLElement | null} */ (null));
  const recording = useRef(/** @type {{ stop: () => void } | null} */ (null));
  const silence = useRef(0);
  const onLevel = (/** @type {number} */ peak) => {
    silence.current = peak < QUIET ? silence.current + 1 : 0;
    setSilent(silence.current > SILENCE);
    level.current?.style.setProperty("--level", String(Math.min(1, Math.sqrt(peak))));
  };
  const onEnd = (/** @type {string} */ text) => {
    setState("idle");
    setSilent(false);
    setProblem(text);
  };
  const begin = async (/** @type {{ file: File | null, deviceId: string }} */ input) => {
    setProblem("");
    setState("starting");
    try {
      const sent = await send({ ...input, onLevel, onEnd });
      recording.current = sent;
      setCallId(sent.callId);
      setState("recording");
    } catch (error) {
      onEnd(explain(error));
    }
  };
  return { state, callId, isSilent, level, begin, stop: () => recording.current?.stop() };
}

/** @param {{ value: string, isRecording: boolean, isOff: boolean, onChange: (id: string) => void }} props */
function Devices({ value, isRecording, isOff, onChange }) {
  const [devices, setDevices] = useState(/** @type {MediaDeviceInfo[]} */ ([]));
  useEffect(() => {
    const read = async () => {
      const all = await navigator.mediaDevices.enumerateDevices();
      // Without permission, the browser conceals the names and ids.
      setDevices(all.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId && deviceId !== "default"));
    };
    if (!navigator.mediaDevices) return;
    read();
    navigator.mediaDevices.addEventListener("devicechange", read);
    return () => navigator.mediaDevices.removeEventListener("devicechange", read);
  }, [isRecording]);
  return html`<label>Microphone
    <select value=${value} disabled=${isOff} onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>
      <option value="">Default</option>
      ${devices.map(({ deviceId, label }) => html`<option key=${deviceId} value=${deviceId}>${label || "Unnamed"}</option>`)}
    </select>
  </label>`;
}

/** @param {{ file: File | null, isOff: boolean, onChange: (file: File | null) => void }} props */
function FileInput({ file, isOff, onChange }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const clear = () => {
    /** @type {HTMLInputElement} */ (input.current).value = "";
    onChange(null);
  };
  return html`<label>or a file
    <input type="file" accept="audio/*,video/*" ref=${input} disabled=${isOff} onChange=${(/** @type {any} */ event) => onChange(event.target.files[0] ?? null)} />
  </label>
  ${file && !isOff && html`<button class="quiet" onClick=${clear}>Use the microphone instead</button>`}`;
}

/** @param {{ callId: string, redacted: boolean }} props */
function Words({ callId, redacted }) {
  const call = useCall(callId, 20);
  const { latencies } = call.view.transcript;
  const median = percentile(latencies, 0.5);
  return html`
    ${latencies.length > 0 && html`<dl class="facts"><div><dt>Latency</dt><dd>${span(call.view.lastLatency)} <small>median ${span(median)}</small></dd></div></dl>`}
    <${ConnectionBanner} state=${call.state} />
    ${call.error && html`<${Banner} tone="bad">${call.error === "expired" ? "Your session has ended." : call.error}<//>`}
    <${Transcript} call=${call} redacted=${redacted} isLive=${true} />`;
}

start(MicPage);
