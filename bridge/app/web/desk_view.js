// The desk: totals, the calls that stand, and those that are over.

import { CallTable } from "./call_table.js";
import { clock, h, ms, percent, plural, refill, score, tell } from "./dom.js";
import { ending } from "./words.js";

const TICK_MS = 1000;
const FULL = 0.8;
const POOR_MOS = 3.6;
const ASKING = "Asking for the calls …";
const FLOORS = { bot: "bot", caller: "caller", both: "both" };

// Spare columns are left out on a telephone's screen.
const LIVE = [["Length", "number"], ["Floor", "spare"], ["Said", "number spare"], ["Interruptions", "number spare"], ["Quality"]];
const PAST = [["Began", "number spare"], ["Length", "number"], ["Ended because", "spare"], ["Interruptions", "number spare"], ["Over budget"]];

export class DeskView {
  title = "Desk";
  #timer = 0;

  constructor(feed) {
    this.feed = feed;
    this.totals = h("dl", { class: "totals", "aria-label": "Totals" });
    this.live = new CallTable("live", "Calls now", LIVE, liveCells);
    this.past = new CallTable("past", "Calls before", PAST, call => pastCells(call, feed.timeOf(call.started_ns)));
    this.element = h("div", { class: "desk-view" },
      h("div", { class: "view-head" }, h("h1", {}, "Desk")), this.totals, this.live.element, this.past.element);
    this.redraw = () => this.#draw();
  }

  async open() {
    this.feed.addEventListener("change", this.redraw);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#draw();
  }

  close() {
    this.feed.removeEventListener("change", this.redraw);
    clearInterval(this.#timer);
  }

  #draw() {
    const { isReady } = this.feed;
    refill(this.totals, ...totals(this.feed.totals));
    this.live.show(this.feed.list({ isLive: true }), isReady ? "Nobody is calling." : ASKING);
    this.past.show(this.feed.list({ isLive: false }), isReady ? "No call has ended yet." : ASKING);
    this.#tick();
  }

  /** Lengths go on by themselves. */
  #tick() {
    const now = this.feed.nowNs;
    if (now) for (const cell of this.live.body.querySelectorAll("[data-since]")) tell(cell, clock((now - Number(cell.dataset.since)) / 1e9));
  }
}

const none = () => h("span", { class: "soft" }, "–");

function liveCells(call) {
  const length = call.answered_ns == null ? call.state : h("span", { "data-since": call.answered_ns });
  const floor = FLOORS[call.floor] ? h("span", { class: `badge ${call.floor}` }, FLOORS[call.floor]) : none();
  return [length, floor, String(call.utterances), String(call.barge_ins), quality(call)];
}

function pastCells(call, began) {
  const length = call.answered_ns == null ? "–" : clock((call.ended_ns - call.answered_ns) / 1e9);
  const over = [...new Set(call.breaches ?? [])];
  const budget = over.length ? h("span", { class: "badge over", title: over.join(", ") }, plural(over.length, "stage")) : none();
  return [began, length, h("span", { class: "soft" }, ending(call.reason)), String(call.barge_ins), budget];
}

function quality(call) {
  const worst = Math.min(...[call.quality?.mos_in, call.quality?.mos_out].filter(Boolean));
  return Number.isFinite(worst) ? h("span", { class: `badge${worst < POOR_MOS ? " over" : ""}` }, `MOS ${score(worst)}`) : none();
}

function totals(sums) {
  if (!sums) return [];
  const { calls, voice, engine } = sums;
  const tiles = [tile("Calls now", String(calls.up + calls.ringing), `room for ${calls.room}, ${calls.ended} ended`)];
  const spread = (title, each) => each?.count && tiles.push(tile(title, ms(each.p50), `95 % within ${ms(each.p95)}`));
  spread("First sound", sums.first_audio_ms);
  spread("Falls silent in", sums.stages_ms?.mute);
  if (voice) tiles.push(tile("Voice connections", `${voice.busy} busy`, `${voice.idle} ready${voice.failures ? `, ${plural(voice.failures, "failure")}` : ""}`));
  if (engine?.processes.length) tiles.push(load(engine));
  return tiles;
}

function load(engine) {
  const bars = engine.processes.map(each => {
    const fill = h("span", { class: "fill" });
    fill.style.width = `${Math.min(100, each.load * 100)}%`;
    const bar = h("span", { class: `track${each.load > FULL ? " over" : ""}`, "aria-hidden": "true" }, fill);
    return h("span", {}, bar, h("span", {}, h("span", { class: "hidden" }, `core ${each.place}: `), percent(each.load)));
  });
  const note = engine.restarts ? plural(engine.restarts, "restart") : engine.has_standby ? "another one stands by" : "";
  return h("div", { class: "card total" }, h("dt", {}, "Media load, by core"), h("dd", { class: "loads" }, ...bars), h("dd", { class: "note" }, note));
}

function tile(title, value, note) {
  return h("div", { class: "card total" }, h("dt", {}, title), h("dd", { class: "value" }, value), h("dd", { class: "note" }, note));
}
