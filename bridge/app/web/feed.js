// What the desk shows, pushed by the bridge over one WebSocket: calls and totals. Views listen; nothing is polled.

import { access, ask, listen } from "./access.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const GATHER_MS = 300;

/** Fires `state` (live, lost, off), `change` (ids of calls), `note` (an event), `stranger` (the token does not fit). */
export class Feed extends EventTarget {
  calls = new Map();
  totals = null;
  isReady = false;
  #clock = null;
  #names = new Map();
  #socket = null;
  #tries = 0;
  #waiting = null;

  open() {
    if (this.#socket || !access.token) return;
    const socket = this.#socket = listen("/api/events");
    socket.onmessage = message => this.#take(JSON.parse(message.data));
    socket.onclose = () => this.#lost(socket);
  }

  /** The bridge's monotonic clock, in ns; null until it told one. */
  get nowNs() {
    return this.#clock && this.#clock.at + (performance.now() - this.#clock.since) * 1e6;
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#fire("state", "off");
  }

  /** Calls, the newest first. */
  list({ isLive }) {
    return [...this.calls.values()].filter(call => (call.state !== "ended") === isLive).sort((a, b) => b.started_ns - a.started_ns);
  }

  #take(note) {
    if (note.type === "hello") {
      this.#tries = 0;
      this.#fire("state", "live");
      this.#gather();
    } else if (note.call) {
      this.#clock = { at: note.at_ns, since: performance.now() };
      if (note.type === "call.started") this.#names.set(note.call, { from: note.from, to: note.to });
      this.#fire("note", note);
      this.#gather();
    }
  }

  /** Ask once for what several events changed. */
  #gather() {
    this.#waiting ??= setTimeout(async () => {
      this.#waiting = null;
      try {
        const { calls } = await ask("/api/calls");
        this.calls = new Map(calls.map(call => [call.id, { ...call, ...this.#names.get(call.id) }]));
        this.isReady = true;
        this.#fire("change", [...this.calls.keys()]);
      } catch {
        // The socket tells by itself when the bridge is gone.
      }
    }, GATHER_MS);
  }

  async #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#fire("state", "lost");
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)];
    // A browser does not say why a WebSocket was refused; a plain question is answered.
    const isStranger = await ask("/api/calls").then(() => false, error => error.status === 401);
    if (isStranger) return this.#fire("stranger");
    setTimeout(() => this.open(), wait);
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
