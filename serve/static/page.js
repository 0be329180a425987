"use strict";
const RATE_HZ = 16000, MAX_S = 30, MIN_S = 0.2;
const $ = id => document.getElementById(id);
let answer = null, chosen = -1, decided = false, asked = 0;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", isError);
}

// --- audio: anything -> 16 kHz mono WAV ---------------------------------------------------------

/** Resampled by the browser, which also filters out what 16 kHz cannot hold. */
async function toRate(samples, rateHz) {
  if (rateHz === RATE_HZ || !samples.length) return samples;
  const offline = new OfflineAudioContext(1, Math.ceil(samples.length * RATE_HZ / rateHz), RATE_HZ);
  const buffer = offline.createBuffer(1, samples.length, rateHz);
  buffer.copyToChannel(samples, 0);
  const source = offline.createBufferSource();
  source.buffer = buffer;
  source.connect(offline.destination);
  source.start();
  return (await offline.startRendering()).getChannelData(0);
}

function wav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const letters = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  letters(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); letters(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, RATE_HZ, true); view.setUint32(28, 2 * RATE_HZ, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  letters(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((s, i) => view.setInt16(44 + 2 * i, Math.round(Math.max(-1, Math.min(1, s)) * 32767), true));
  return new Blob([view], { type: "audio/wav" });
}

/** What this browser can decode becomes WAV (so m4a and webm work); the rest goes as it is. */
async function fileToUpload(file) {
  let decoded;
  try {
    decoded = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(await file.arrayBuffer());
  } catch {
    return file;
  }
  if (decoded.duration > MAX_S) throw new Error(`The file lasts ${decoded.duration.toFixed(0)} s; the limit is ${MAX_S} s.`);
  const mono = new Float32Array(decoded.length);
  for (let c = 0; c < decoded.numberOfChannels; c++) decoded.getChannelData(c).forEach((s, i) => { mono[i] += s / decoded.numberOfChannels; });
  return wav(await toRate(mono, decoded.sampleRate));
}

// --- microphone -------------------------------------------------------------------------------------

const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
});`;
let holding = false, recording = null;

async function startRecording() {
  if (holding || $("talk").disabled) return;
  holding = true;
  let stream, context;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true } });
    context = new AudioContext();
    const url = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await context.audioWorklet.addModule(url);
    URL.revokeObjectURL(url);
  } catch (error) {
    holding = false;
    stream?.getTracks().forEach(track => track.stop());
    context?.close();
    say(error.name === "NotAllowedError" ? "The browser was not allowed to use the microphone." : "No microphone can be used. Choose a file instead.", true);
    return;
  }
  const chunks = [];
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  tap.port.onmessage = ({ data }) => {
    chunks.push(data);
    $("talk").style.setProperty("--level", Math.min(1, 6 * Math.sqrt(data.reduce((sum, s) => sum + s * s, 0) / data.length)).toFixed(2));
  };
  context.createMediaStreamSource(stream).connect(tap);
  recording = { stream, context, chunks, timer: setTimeout(stopRecording, (MAX_S - 1) * 1000) };
  if (!holding) { stopRecording(); return; }  // let go while the browser was still asking
  $("talk").classList.add("live");
  $("talk-label").textContent = "Listening";
  say("");
}

async function stopRecording() {
  holding = false;
  if (!recording) return;
  const { stream, context, chunks, timer } = recording;
  recording = null;
  clearTimeout(timer);
  $("talk").classList.remove("live");
  $("talk-label").textContent = "Hold to talk";
  await new Promise(resolve => setTimeout(resolve, 150));  // the last sound is still on its way
  stream.getTracks().forEach(track => track.stop());
  const rateHz = context.sampleRate;
  await context.close();
  const samples = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) { samples.set(chunk, at); at += chunk.length; }
  if (samples.length < MIN_S * rateHz) { say("Too short: hold the button while you speak."); return; }
  await recognize(wav(await toRate(samples, rateHz)));
}

// --- asking the server --------------------------------------------------------------------------------

let token = sessionStorage.getItem("token"), refused = null;

async function recognize(blob) {
  const number = ++asked;
  $("result").hidden = true;
  answer = null;
  say("Recognising …");
  try {
    const response = await fetch("v1/recognize?num_alternatives=5", { method: "POST", body: blob, headers: token ? { Authorization: `Bearer ${token}` } : {} });
    $("key").hidden = response.status !== 401;
    refused = response.status === 401 ? blob : null;  // sent again with the token
    if (refused) { say(token ? "The server does not know this token." : "", true); $("token").focus(); return; }
    const body = await response.json().catch(() => null);
    if (number !== asked) return;  // a later clip has been sent since
    if (!response.ok) throw new Error(body?.error?.message ?? `The server answered ${response.status}.`);
    say("");
    show(body);
    drawWave(blob, body).catch(() => { $("wave").hidden = true; });
  } catch (error) {
    if (number === asked) say(error instanceof TypeError ? "The server cannot be reached." : error.message, true);
  }
}

/** The clip's peaks, column by column; what was heard as words stands out. */
async function drawWave(blob, recognition) {
  const { length, duration, samples } = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(await blob.arrayBuffer())
    .then(decoded => ({ length: decoded.length, duration: decoded.duration, samples: decoded.getChannelData(0) }));
  const canvas = $("wave"), style = getComputedStyle(document.body), scale = window.devicePixelRatio || 1;
  canvas.hidden = false;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = 56 * scale;
  const context = canvas.getContext("2d"), middle = canvas.height / 2, columns = Math.floor(canvas.width / (3 * scale));
  const loudest = Math.max(1e-3, samples.reduce((most, s) => Math.max(most, Math.abs(s)), 0));
  for (let column = 0; column < columns; column++) {
    let peak = 0;
    for (let i = Math.floor(column * length / columns); i < (column + 1) * length / columns; i++) peak = Math.max(peak, Math.abs(samples[i]));
    const at = (column + 0.5) * duration / columns, isWord = recognition.words.some(word => at >= word.start && at <= word.end);
    context.fillStyle = style.getPropertyValue(isWord ? "--accent" : "--quiet");
    const height = Math.max(scale, peak / loudest * (middle - 4 * scale));
    context.fillRect(3 * scale * column, middle - height, 2 * scale, 2 * height);
  }
}

// --- the answer -----------------------------------------------------------------------------------------

const percent = p => p > 0.995 ? ">99%" : p < 0.01 ? "<1%" : `${Math.round(100 * p)}%`;

const REASONS = {
  "no speech": () => "No speech was heard in the recording.",
  "not in the list": () => "What was said fits no name of the list well.",
  "low confidence": r => `The likeliest name is only ${percent(r.confidence)} certain.`,
  "runner-up too near": () => "The first two names are nearly as likely as each other.",
  "high-alert drug": () => "A mistake with this drug does great harm: always look twice.",
  "dose not certain": () => "The dose is not certain.",
  "strength not marketed for this drug": () => "The drug is not sold in this strength.",
  "audio is clipped": () => "The recording is too loud: speak further from the microphone.",
  "sound-alike": r => `Easily confused by ear: ${alikePairs(r.alternatives).join("; ") || "the likeliest names"}.`,
};

/** Listed sound-alikes that are both among the candidates. */
function alikePairs(options) {
  const spelled = option => option.drug.toLowerCase();
  return options.flatMap((one, i) => options.slice(i + 1)
    .filter(other => one.sounds_like.includes(spelled(other)) || other.sounds_like.includes(spelled(one)))
    .map(other => `${one.tall_man} and ${other.tall_man}`));
}

function candidate(option, index) {
  const button = make("button", "candidate");
  button.type = "button";
  button.setAttribute("role", "radio");
  button.append(make("kbd", "", String(index + 1)), make("span", "name", option.tall_man), make("span", "percent", percent(option.confidence)));
  const track = make("span", "track"), fill = make("i");
  track.setAttribute("aria-hidden", "true");
  fill.style.width = `${Math.max(1, 100 * option.confidence)}%`;
  track.append(fill);
  button.append(track);
  if (option.sounds_like.length) button.append(make("span", "alike", `Sounds like ${option.sounds_like.join(", ")}`));
  button.addEventListener("click", () => { choose(index); button.focus(); });
  return button;
}

function show(recognition) {
  answer = recognition;
  decided = false;
  const dose = recognition.dose ? `, ${recognition.dose.value} ${recognition.dose.unit}` : "";
  $("heard").textContent = recognition.text ? `Heard “${recognition.text}”${dose}` : "No word was heard";
  const options = recognition.alternatives.slice(0, 5);
  $("warning-title").textContent = !options.length ? "Please say it again" : recognition.drug === null ? "Perhaps none of these" : "Check before you confirm";
  $("reasons").replaceChildren(...recognition.review_reasons.map(reason => make("li", "", REASONS[reason]?.(recognition) ?? reason)));
  $("warning").hidden = !recognition.needs_review && recognition.drug !== null;
  $("candidates").replaceChildren(...options.map(candidate));
  $("actions").hidden = !options.length;
  $("outcome").hidden = true;
  $("result").hidden = false;
  // A doubtful answer has nothing chosen beforehand: someone has to look.
  choose(recognition.needs_review ? -1 : recognition.alternatives.findIndex(option => option.drug === recognition.drug));
  $("result").scrollIntoView({ block: "nearest" });
}

function choose(index) {
  if (decided || !answer) return;
  chosen = index;
  [...$("candidates").children].forEach((button, i) => {
    button.setAttribute("aria-checked", String(i === index));
    button.tabIndex = i === Math.max(0, index) ? 0 : -1;
  });
  $("confirm").disabled = index < 0;
  $("none").disabled = false;
}

function decide(text) {
  decided = true;
  [...$("candidates").children].forEach(button => { button.disabled = true; });
  $("confirm").disabled = $("none").disabled = true;
  $("outcome").textContent = text;
  $("outcome").hidden = false;
}

const confirmChoice = () => { if (answer && !decided && chosen >= 0) decide(`Confirmed: ${answer.alternatives[chosen].tall_man}`); };
const rejectAll = () => { if (answer?.alternatives.length && !decided) { choose(-1); decide("None of these. Say it again, or type it in."); } };

function onArrow(event) {
  const buttons = [...$("candidates").children], at = buttons.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (at < 0 || !step || decided) return;
  event.preventDefault();
  const next = (at + step + buttons.length) % buttons.length;
  choose(next);
  buttons[next].focus();
}

function onKeyDown(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || document.activeElement === $("token")) return;
  const focus = document.activeElement, onButton = focus.matches("button, input");
  if (event.key === " " && (!onButton || focus === $("talk"))) { event.preventDefault(); if (!event.repeat) startRecording(); }
  else if (event.key === "0") rejectAll();
  else if (event.key >= "1" && event.key <= "5" && event.key.length === 1) { const button = $("candidates").children[event.key - 1]; if (button && !decided) { choose(event.key - 1); button.focus(); } }
  else if (event.key === "Enter" && (!onButton || focus === $("talk") || focus.matches(".candidate"))) { event.preventDefault(); confirmChoice(); }
  else onArrow(event);
}

$("talk").addEventListener("pointerdown", event => { $("talk").setPointerCapture(event.pointerId); startRecording(); });
for (const end of ["pointerup", "pointercancel"]) $("talk").addEventListener(end, stopRecording);
$("talk").addEventListener("contextmenu", event => event.preventDefault());
document.addEventListener("keydown", onKeyDown);
document.addEventListener("keyup", event => { if (event.key === " ") stopRecording(); });
window.addEventListener("blur", stopRecording);
$("confirm").addEventListener("click", confirmChoice);
$("none").addEventListener("click", rejectAll);
$("key").addEventListener("submit", event => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  $("token").value = "";
  if (refused) recognize(refused);
});
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (!file) return;
  try { await recognize(await fileToUpload(file)); } catch (error) { say(error.message, true); }
});

if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
  $("talk").disabled = true;
  $("hint").textContent = "The microphone needs an https address or localhost. A file can be used here.";
}
fetch("health").then(response => response.json()).then(({ status, model, lexicon }) => {
  $("server").textContent = status === "ok" ? [model, lexicon].filter(Boolean).join(" · ") || "ready" : "the model is not ready";
}).catch(() => { $("server").textContent = "the server cannot be reached"; });
