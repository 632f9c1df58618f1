// What the desk shows, pushed by the bridge over one WebSocket (docs/api.md, "The desk"). Views listen; nothing is polled.

import { access, ask, listen } from "./access.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const FULL = 503, NO_SOCKET = 426;
/** One of them may have met a bridge that was about to go or to come. */
const SURE_TRIES = 3;
const LISTS = ["caller", "bot", "ducks", "keys", "barge_ins"];

/** Fires `state` (live, lost, full: too many watch already, blocked: something on the way lets no WebSocket through), `change` when calls or totals did, `detail` for the call that is watched, `stranger` if the token does not fit. */
export class Feed extends EventTarget {
  calls = new Map();
  totals = null;
  budget = {};
  /** What the token opens; until it is known, the page shows what it could do. */
  may = { order: true, recordings: true, transcripts: true };
  /** Of the call that is watched: `timeline`, `transcript` and `media`, as complete as they are known. */
  detail = null;
  isReady = false;
  #watched = null;
  #socket = null;
  #clock = null;
  #tries = 0;
  #state = "";

  open() {
    if (this.#socket || !access.token) return;
    const socket = this.#socket = listen("/api/desk");
    socket.onmessage = message => this.#take(JSON.parse(message.data));
    socket.onclose = () => this.#lost(socket);
  }

  /** The bridge's monotonic clock, in ns; null until it told one. */
  get nowNs() {
    return this.#clock && this.#clock.at + (performance.now() - this.#clock.since) * 1e6;
  }

  /** The hour of the day of a moment in ns, and the date too if that is not today's; empty until the bridge told the time. */
  timeOf(ns) {
    if (!this.#clock) return "";
    const moment = new Date(this.#clock.day + (ns - this.#clock.at) / 1e6);
    const hour = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    return moment.toDateString() === new Date().toDateString() ? hour : `${moment.toLocaleDateString()}, ${hour}`;
  }

  /** Calls, the newest first. */
  list({ isLive }) {
    return [...this.calls.values()].filter(call => (call.state !== "ended") === isLive).sort((a, b) => b.started_ns - a.started_ns);
  }

  /** Follow one call in full; null ends that. */
  watch(id) {
    if (id === this.#watched) return;
    this.#watched = id;
    this.detail = null;
    this.#follow();
  }

  #follow() {
    if (this.isReady && this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(JSON.stringify({ type: "watch", call: this.#watched }));
  }

  #take(message) {
    if (message.at_ns != null) this.#clock = { at: message.at_ns, since: performance.now(), day: Date.parse(message.time) };
    if (message.type === "snapshot") {
      this.#tries = 0;
      this.calls.clear();
      this.detail = null;
      this.isReady = true;
      Object.assign(this, { may: message.may, budget: message.budget_ms });
      this.#turn("live");
      if (this.#watched) this.#follow();
    } else if (message.type !== "change") return;
    for (const call of message.calls ?? []) this.calls.set(call.id, call);
    for (const id of message.gone ?? []) this.calls.delete(id);
    this.totals = message.totals ?? this.totals;
    if (message.totals || message.calls?.length || message.gone?.length) this.#fire("change");
    if (message.detail && message.detail.call === this.#watched) {
      this.detail = merged(this.detail, message.detail);
      this.#fire("detail", this.detail);
    }
  }

  async #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    if (this.#state === "live") this.#turn("lost");
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)];
    // A browser does not say why a WebSocket was refused; the same question without one is answered.
    const status = await ask("/api/desk").then(() => 0, error => error.status);
    if (status === 401) {
      this.#state = "";
      return this.#fire("stranger");
    }
    this.#turn(status === FULL ? "full" : status === NO_SOCKET && this.#tries >= SURE_TRIES ? "blocked" : "lost");
    setTimeout(() => this.open(), wait);
  }

  #turn(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#fire("state", state);
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** News about a call take the place of what they name by its number. */
function merged(before, news) {
  const timeline = { ...before?.timeline, ...news.timeline };
  for (const name of LISTS) timeline[name] = upserted(before?.timeline[name], news.timeline?.[name], entry => entry.number);
  const transcript = news.transcript === null ? null : upserted(before?.transcript, news.transcript, line => `${line.who} ${line.number}`);
  return { ...before, ...news, timeline, transcript, media: { ...before?.media, ...news.media } };
}

function upserted(before, news, keyOf) {
  const all = new Map((before ?? []).map(each => [keyOf(each), each]));
  for (const each of news ?? []) all.set(keyOf(each), each);
  return [...all.values()].sort((a, b) => a.began_ns - b.began_ns);
}
