// The desk: totals, the calls that stand, and those that are over.

import { clock, h, ms, percent, plural, refill, score, tell } from "./dom.js";
import { icon } from "./icons.js";
import { ending } from "./words.js";

const TICK_MS = 1000;
const FLOORS = { bot: "bot speaks", caller: "caller speaks", doubt: "bot listens" };

export class DeskView {
  title = "Desk";
  #timer = 0;

  constructor(feed) {
    this.feed = feed;
    this.totals = h("dl", { class: "totals", "aria-label": "Totals" });
    this.live = table("live", "Calls now", ["Call", "Length", "Floor", "Said", "Interruptions", "Quality"]);
    this.past = table("past", "Calls before", ["Call", "Length", "Ended because", "Said", "Interruptions", "Over budget"]);
    this.element = h("div", { class: "desk-view" },
      h("div", { class: "view-head" }, h("h1", {}, "Desk")), this.totals, this.live.card, this.past.card);
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
    const live = this.feed.list({ isLive: true }), past = this.feed.list({ isLive: false });
    refill(this.totals, ...totals(this.feed.totals, live, past));
    const isReady = this.feed.isReady;
    fillTable(this.live, live.map(liveRow), isReady ? "Nobody is calling." : "Asking for the calls …");
    fillTable(this.past, past.slice(0, 200).map(pastRow), isReady ? "No call has ended yet." : "");
    this.#tick();
  }

  /** Lengths go on by themselves. */
  #tick() {
    const now = this.feed.nowNs;
    for (const cell of this.live.body.querySelectorAll("[data-since]"))
      if (now) tell(cell, clock((now - Number(cell.dataset.since)) / 1e9));
  }
}

function table(id, title, heads) {
  const body = h("tbody");
  const cells = heads.map((head, at) => h("th", { scope: "col", class: columnClass(at) }, head));
  const made = h("table", { class: "calls", "aria-labelledby": `${id}-title` }, h("thead", {}, h("tr", {}, ...cells)), body);
  const empty = h("p", { class: "empty" });
  const count = h("span", { class: "soft number" });
  const head = h("div", { class: "card-head" }, h("h2", { id: `${id}-title` }, title), count);
  return { card: h("section", { class: "card calls-card", "aria-labelledby": `${id}-title` }, head, empty, made), body, made, empty, count };
}

// On a telephone's screen only the first two columns and the last one have room.
const columnClass = at => [at === 1 || at === 3 || at === 4 ? "number" : "", at > 1 && at < 5 ? "spare" : ""].join(" ").trim();

function fillTable(part, rows, empty) {
  refill(part.body, ...rows);
  part.made.hidden = !rows.length;
  part.empty.hidden = rows.length > 0;
  tell(part.empty, empty);
  tell(part.count, rows.length ? String(rows.length) : "");
}

function row(call, ...cells) {
  const way = call.direction === "inbound" ? "inbound" : "outbound";
  const link = h("a", { href: `#/calls/${encodeURIComponent(call.id)}`, "data-key": call.id },
    icon(way), h("span", {}, callTitle(call)), h("span", { class: "hidden" }, `, ${way}`));
  const open = event => { if (!event.target.closest("a")) link.click(); };
  return h("tr", { click: open }, h("td", { class: "who-cell" }, link), ...cells.map((cell, at) => h("td", { class: columnClass(at + 1) }, cell)));
}

function liveRow(call) {
  const length = h("span", call.answered_ns == null ? {} : { "data-since": call.answered_ns }, call.answered_ns == null ? call.state : "");
  const floor = call.floor && FLOORS[call.floor] ? h("span", { class: `badge${call.floor === "doubt" ? " over" : " live"}` }, FLOORS[call.floor]) : h("span", { class: "soft" }, "–");
  return row(call, length, floor, String(call.utterances), String(call.barge_ins), quality(call));
}

function pastRow(call) {
  const length = call.answered_ns == null ? "–" : clock((call.ended_ns - call.answered_ns) / 1e9);
  const over = [...new Set(call.breaches ?? [])];
  const budget = over.length ? h("span", { class: "badge over", title: over.join(", ") }, plural(over.length, "stage")) : h("span", { class: "soft" }, "–");
  return row(call, length, h("span", { class: "soft" }, ending(call.reason)), String(call.utterances), String(call.barge_ins), budget);
}

function quality(call) {
  const worst = Math.min(...[call.mos_in, call.mos_out].filter(Boolean));
  if (!Number.isFinite(worst)) return h("span", { class: "soft" }, "–");
  return h("span", { class: `badge${worst < 3.6 ? " over" : ""}` }, `MOS ${score(worst)}`);
}

export function callTitle(call) {
  const [from, to] = [call.from, call.to].map(each => (each ?? "").replace(/^sips?:/, ""));
  if (from.startsWith("browser")) return to ? `Browser → ${to}` : "Browser";
  if (from && to) return `${from} → ${to}`;
  return from || to || `${call.codec || "call"} ${call.id.slice(0, 6)}`;
}

function totals(sums, live, past) {
  const tiles = [tile("Calls now", String(sums?.live ?? live.length), sums?.room ? `room for ${sums.room}` : `${past.length} before`)];
  const spread = (title, each) => each?.p50 != null && tiles.push(tile(title, ms(each.p50), `95 % within ${ms(each.p95)}`));
  spread("First sound", sums?.firstAudio);
  spread("Silent when interrupted", sums?.bargeIn);
  if (sums?.voice) tiles.push(tile("Voice connections", `${sums.voice.busy} busy`, `${sums.voice.idle} ready`));
  if (sums?.cores?.length) {
    const bars = sums.cores.map((load, at) => {
      const fill = h("span", { class: "fill" });
      fill.style.width = `${Math.min(100, load * 100)}%`;
      return h("span", {}, h("span", { class: `track${load > 0.8 ? " over" : ""}`, "aria-hidden": "true" }, fill), h("span", {}, h("span", { class: "hidden" }, `core ${at}: `), percent(load)));
    });
    tiles.push(h("div", { class: "card total" }, h("dt", {}, "Media load, by core"), h("dd", { class: "loads" }, ...bars)));
  }
  return tiles;
}

function tile(title, value, note) {
  return h("div", { class: "card total" }, h("dt", {}, title), h("dd", { class: "value" }, value), h("dd", { class: "note" }, note));
}
