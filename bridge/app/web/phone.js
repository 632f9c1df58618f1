// A call from this page: WebRTC to the bridge by WHIP (RFC 9725), and what the bridge tells of it. No element is touched here.

import { access, listen, send } from "./access.js";

const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const KEY_MS = 120, BETWEEN_MS = 60;
const RETRY_MS = 1000;
const SERVER = /<([^>]+)>; rel="ice-server"(?:; username="([^"]*)"; credential="([^"]*)")?/g;

// Made while nobody waits for it: a certificate takes a while on a small machine.
const certificate = window.RTCPeerConnection?.generateCertificate({ name: "ECDSA", namedCurve: "P-256" }).catch(() => null);

/** Fires `state` (idle, asking, calling, up), `note` (an event of the call), `over` (why it ended), `touch` (heard of the bridge or not). */
export class Phone extends EventTarget {
  state = "idle";
  isMuted = false;
  place = "";
  id = "";
  connectedMs = null;
  #peer = null;
  #stream = null;
  #events = null;
  #context = null;
  #ears = {};
  #servers = [];
  /** Counts the calls that were begun or given up: what waits for something looks whether it is still its turn. */
  #turn = 0;

  constructor(speaker) {
    super();
    this.speaker = speaker;
  }

  /** Learn of the bridge's STUN and TURN servers before there is a call to wait for them (RFC 9725 §4.6). */
  async findServers() {
    const link = (await send("/api/webrtc", { method: "OPTIONS" })).headers.get("Link") ?? "";
    this.#servers = [...link.matchAll(SERVER)].map(([, urls, username, credential]) => ({ urls, username, credential }));
  }

  /** Ask for the microphone, then call; throws what a person has to know. */
  async call({ to, voice = "", model = "", microphone = "" }) {
    if (!navigator.mediaDevices) throw Object.assign(new Error(""), { name: "InsecureError" });
    const began = performance.now();
    this.#set("asking");
    const turn = ++this.#turn, isGivenUp = () => turn !== this.#turn;
    try {
      const made = await certificate;
      if (isGivenUp()) return;
      const peer = await this.#prepare(made, began);
      const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted(microphone) });
      if (isGivenUp()) return stop(stream); // hung up while the browser asked
      this.#stream = stream;
      const track = stream.getAudioTracks()[0];
      track.enabled = !this.isMuted;
      await peer.getSenders()[0].replaceTrack(track);
      if (isGivenUp()) return;
      this.#set("calling");
      await this.#offer(peer, { to, voice, model });
    } catch (error) {
      if (isGivenUp()) return; // nobody waits for it any more
      this.#close();
      throw error;
    }
  }

  /** The offer is ready before the microphone is: nothing of it depends on which one it is. */
  async #prepare(made, began) {
    const peer = this.#peer = new RTCPeerConnection({ iceServers: this.#servers, ...(made && { certificates: [made] }) });
    peer.addTransceiver("audio", { direction: "sendrecv" });
    peer.ontrack = event => {
      this.speaker.srcObject = event.streams[0] ?? new MediaStream([event.track]);
    };
    peer.onconnectionstatechange = () => {
      if (peer !== this.#peer) return;
      if (peer.connectionState === "connected" && this.state !== "up") {
        this.connectedMs = Math.round(performance.now() - began);
        this.#set("up");
        this.#listenToLevels();
      } else if (["failed", "closed"].includes(peer.connectionState)) this.#over("the line is gone");
    };
    await peer.setLocalDescription();
    return peer;
  }

  async #offer(peer, { to, voice, model }) {
    const query = new URLSearchParams(Object.entries({ to, voice, model }).filter(([, value]) => value));
    const body = peer.localDescription.sdp;
    const answer = await send(`/api/webrtc?${query}`, { method: "POST", body, headers: { "Content-Type": "application/sdp" } });
    const place = answer.headers.get("Location");
    if (peer !== this.#peer) return leave(place); // given up while the bridge answered, which nobody else would tell it
    this.place = place;
    this.#listen(place.split("/").pop());
    const sdp = await answer.text();
    if (peer === this.#peer) await peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** Hear of the call as long as it stands, also after the bridge was out of reach for a moment. */
  #listen(call) {
    const peer = this.#peer, events = this.#events = listen("/api/events", { call });
    events.onmessage = message => {
      const note = JSON.parse(message.data);
      if (note.type === "hello") this.id = note.calls[0]?.id ?? this.id;
      this.#fire("touch", true);
      this.#fire("note", note);
      if (note.type !== "call.ended") return;
      this.place = ""; // nothing is left there to hang up
      this.#over(note.reason);
    };
    events.onclose = () => {
      if (events !== this.#events) return;
      this.#fire("touch", false);
      setTimeout(() => peer === this.#peer && this.#listen(call), RETRY_MS);
    };
  }

  hangUp() {
    if (this.state !== "idle") this.#over("caller hung up");
  }

  mute(isMuted) {
    this.isMuted = isMuted;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !isMuted;
  }

  press(key) {
    this.#peer?.getSenders()[0]?.dtmf?.insertDTMF(key, KEY_MS, BETWEEN_MS);
  }

  /** Go on with another microphone. */
  async use(microphone) {
    if (!this.#stream) return;
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted(microphone) });
    const track = stream.getAudioTracks()[0];
    track.enabled = !this.isMuted;
    await this.#peer?.getSenders()[0]?.replaceTrack(track);
    stop(this.#stream);
    this.#stream = stream;
    this.#hear("you", stream);
  }

  /** How loud one side is, 0 to 1 over 60 dB. */
  level(side) {
    const ear = this.#ears[side];
    if (!ear) return 0;
    ear.node.getFloatTimeDomainData(ear.samples);
    const power = ear.samples.reduce((sum, each) => sum + each * each, 0) / ear.samples.length;
    return Math.max(0, 1 + Math.log10(Math.max(power, 1e-6)) / 6);
  }

  #listenToLevels() {
    this.#context = new AudioContext();
    this.#context.resume();
    this.#hear("you", this.#stream);
    this.#hear("bot", this.speaker.srcObject);
  }

  #hear(side, stream) {
    if (!stream || !this.#context) return;
    const node = this.#context.createAnalyser();
    node.fftSize = 1024;
    this.#context.createMediaStreamSource(stream).connect(node);
    this.#ears[side] = { node, samples: new Float32Array(node.fftSize) };
  }

  #set(state) {
    this.state = state;
    this.#fire("state", state);
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #over(reason) {
    if (this.state === "idle") return;
    this.#close();
    this.#fire("over", reason);
  }

  #close() {
    const peer = this.#peer, place = this.place;
    this.#turn++;
    this.#events?.close();
    stop(this.#stream);
    this.#context?.close();
    this.#peer = this.#stream = this.#events = this.#context = null;
    this.#ears = {};
    this.place = "";
    leave(place);
    // The last packets may still be on their way out.
    setTimeout(() => peer?.close(), 100);
    this.#set("idle");
  }
}

/** Tell the bridge that a call is over, if it does not know; also from a page that is being closed. */
function leave(place) {
  if (place && access.token) send(place, { method: "DELETE", keepalive: true }).catch(() => {}); // it may be over already
}

function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

const wanted = id => (id ? { ...SOUND, deviceId: { exact: id } } : SOUND);

/** The microphones there are; without a name until one was allowed. */
export async function microphones() {
  if (!navigator.mediaDevices) return [];
  const found = (await navigator.mediaDevices.enumerateDevices()).filter(each => each.kind === "audioinput");
  return found.map((each, at) => ({ id: each.deviceId, title: each.label || `Microphone ${at + 1}` }));
}
