// The call from this page: WebRTC to the bridge by WHIP, and what the bridge tells of it.
const phone = { peer: null, place: "", id: "", stream: null, events: null, began: 0, notes: [] };
const $ = name => document.getElementById(name);

async function microphones() {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter(each => each.kind === "audioinput");
  $("microphone").replaceChildren(...found.map((each, at) => new Option(each.label || `microphone ${at + 1}`, each.deviceId)));
}

function status(text) { $("call-state").textContent = text; }

async function place() {
  if (!navigator.mediaDevices) return status("a browser gives the microphone only over https: cosybridge serve --lan");
  $("call").disabled = true;
  phone.began = performance.now();
  phone.notes = [];
  $("transcript").replaceChildren();
  status("asking for the microphone …");
  try {
    const deviceId = $("microphone").value;
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (deviceId) audio.deviceId = { exact: deviceId };
    phone.stream = await navigator.mediaDevices.getUserMedia({ audio });
    await microphones();
    await connect();
  } catch (error) {
    leave(`no call: ${error.message}`);
  }
}

async function connect() {
  const peer = phone.peer = new RTCPeerConnection();
  for (const track of phone.stream.getAudioTracks()) peer.addTrack(track, phone.stream);
  peer.ontrack = event => { $("sound").srcObject = event.streams[0]; };
  peer.onconnectionstatechange = () => {
    if (peer !== phone.peer) return;
    if (peer.connectionState === "connected") {
      status(`connected in ${Math.round(performance.now() - phone.began)} ms`);
      document.body.dataset.connectedMs = String(Math.round(performance.now() - phone.began));
    } else if (["failed", "closed", "disconnected"].includes(peer.connectionState)) leave("the line is gone");
  };
  status("calling …");
  await peer.setLocalDescription();
  const to = encodeURIComponent($("number").value || "hello");
  const answer = await fetch(`/api/webrtc?to=${to}`, {
    method: "POST", body: peer.localDescription.sdp,
    headers: { Authorization: "Bearer " + token, "Content-Type": "application/sdp" },
  });
  const body = await answer.text();
  if (!answer.ok) throw new Error(JSON.parse(body).error);
  phone.place = answer.headers.get("Location");
  await peer.setRemoteDescription({ type: "answer", sdp: body });
  for (const name of ["hangup", "mute", "say-text", "say"]) $(name).disabled = false;
  for (const key of $("pad").children) key.disabled = false;
  meter(phone.stream);
  listen((await ask("/api/calls/" + phone.place.split("/").pop())).id);
}

function listen(id) {
  phone.id = id;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  phone.events = new WebSocket(`${scheme}://${location.host}/api/events?call=${id}&token=${encodeURIComponent(token)}`);
  phone.events.onmessage = message => {
    const note = JSON.parse(message.data);
    if (note.at_ns == null) return;
    phone.notes.push(note);
    if (phone.notes.length > 2000) phone.notes.shift();
    tell(note);
    draw();
    if (note.type === "call.ended") leave(`over: ${note.reason}`);
  };
}

function line(who, ...parts) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  name.textContent = who + " ";
  item.append(name, ...parts);
  $("transcript").append(item);
  item.scrollIntoView({ block: "nearest" });
}

function tell(note) {
  if (note.type === "speech.ended") {
    const unheard = document.createElement("s");
    unheard.textContent = note.unheard ?? "";
    unheard.title = "not heard: you spoke over it";
    const seconds = `${(note.played_ms / 1000).toFixed(1)} s of speech`;
    line("bot", note.heard == null ? seconds + (note.interrupted ? ", interrupted" : "") : note.heard, unheard);
  } else if (note.type === "digit") line("you", `pressed ${note.digit}`);
  else if (note.type === "text") line("you", note.text);
}

// Both voices over the last half minute: who spoke when, where the bot fell silent, and for how long it thought.
const SPANS = { "voice.started": ["you", "voice.stopped"], "speech.started": ["bot", "speech.ended"],
                "speech.ducked": ["floor", "speech.resumed", "speech.flushed"] };

function draw() {
  const last = phone.notes.at(-1).at_ns, first = Math.max(phone.notes[0].at_ns, last - 30e9);
  const at = ns => 60 + Math.max(0, ns - first) / Math.max(1e9, last - first) * 560;
  const rows = { you: 8, bot: 34, floor: 60 }, drawn = [];
  for (const [name, y] of Object.entries(rows)) drawn.push(element("text", { x: 0, y: y + 13 }, name));
  phone.notes.forEach((note, index) => {
    const span = SPANS[note.type];
    if (!span) return;
    const [row, ...ends] = span;
    const end = phone.notes.slice(index).find(each => ends.includes(each.type));
    const to = end?.at_ns ?? last;
    if (to < first) return;
    const x = at(note.at_ns), width = Math.max(2, at(to) - x);
    const block = element("rect", { x, y: rows[row], width, height: 18, rx: 3, class: row });
    const ms = ((to - note.at_ns) / 1e6).toFixed(0);
    const what = row === "floor" ? (end?.type === "speech.flushed" ? `gave way after ${ms} ms` : `went on after ${ms} ms`) : `${ms} ms`;
    block.append(element("title", {}, `${row}: ${what}`));
    drawn.push(block);
  });
  $("timeline").replaceChildren(...drawn);
}

function meter(stream) {
  const context = new AudioContext(), heard = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(heard);
  const samples = new Float32Array(heard.fftSize);
  (function look() {
    if (phone.stream !== stream) return void context.close();
    heard.getFloatTimeDomainData(samples);
    const level = Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);
    $("level").value = Math.max(0, 1 + Math.log10(Math.max(level, 1e-3)) / 3);
    requestAnimationFrame(look);
  })();
}

function leave(why) {
  const { peer, place, stream, events } = phone;
  Object.assign(phone, { peer: null, place: "", stream: null, events: null });
  if (place) fetch(place, { method: "DELETE", keepalive: true, headers: { Authorization: "Bearer " + token } }).catch(() => {});
  events?.close();
  for (const track of stream?.getTracks() ?? []) track.stop();
  setTimeout(() => peer?.close(), 100);
  $("call").disabled = false;
  for (const name of ["hangup", "mute", "say-text", "say"]) $(name).disabled = true;
  for (const key of $("pad").children) key.disabled = true;
  $("level").value = 0;
  status(why);
}

function mute() {
  const isOn = $("mute").getAttribute("aria-pressed") !== "true";
  for (const track of phone.stream?.getAudioTracks() ?? []) track.enabled = !isOn;
  $("mute").setAttribute("aria-pressed", String(isOn));
  $("mute").textContent = isOn ? "unmute" : "mute";
}

async function say(event) {
  event.preventDefault();
  const text = $("say-text").value.trim();
  if (!text || !phone.id) return;
  $("say-text").value = "";
  const answer = await fetch(`/api/calls/${phone.id}/say`, {
    method: "POST", body: JSON.stringify({ text, mode: "now" }),
    headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" },
  });
  if (!answer.ok) status((await answer.json()).detail);
}

for (const key of "123456789*0#") {
  const button = document.createElement("button");
  button.type = "button";
  button.disabled = true;
  button.textContent = key;
  button.onclick = () => phone.peer?.getSenders()[0]?.dtmf?.insertDTMF(key, 120, 60);
  $("pad").append(button);
}
$("call").onclick = place;
$("hangup").onclick = () => leave("you hung up");
$("mute").onclick = mute;
$("say-form").onsubmit = say;
addEventListener("pagehide", () => { if (phone.place) leave("page closed"); });
if (navigator.mediaDevices) microphones().catch(() => {});
