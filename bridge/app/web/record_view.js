// One call: what was said and when, each interruption against its budget, how it sounded, and its recording.

import { ask, send } from "./access.js";
import { callTitle } from "./desk_view.js";
import { clock, h, ms, percent, plural, refill, score, tell } from "./dom.js";
import { icon } from "./icons.js";
import { recount } from "./recount.js";
import { interruption } from "./stages.js";
import { Timeline, legend } from "./timeline.js";
import { fill } from "./transcript.js";
import { ending, SILENCES, trouble } from "./words.js";

const MOST_AT_ONCE_BYTES = 24e6;
const PX_PER_S = 9;

export class RecordView {
  title = "A call";
  #detail = null;
  #story = null;
  #audio = null;
  #isOpen = false;
  #asked = false;

  constructor(feed, id) {
    this.feed = feed;
    this.id = id;
    this.head = h("div", {}, h("h1", {}, "A call"), h("p", { class: "soft", role: "status" }, "Asking the bridge …"));
    this.picture = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "timeline of the call" });
    this.timeline = new Timeline(this.picture, { onResize: () => this.#draw(), caller: "Caller", onSeek: seconds => this.#seek(seconds) });
    this.list = h("ol", { class: "transcript", tabindex: 0, "aria-label": "what was said" });
    this.cuts = h("div", { class: "interruptions" });
    this.quality = h("div", { class: "sides" });
    this.silences = h("dl", { class: "causes" });
    this.sound = h("div", { class: "listen" }, h("p", { class: "soft" }, "A recording is there when the call is over."));
    this.raw = h("pre", { tabindex: 0, "aria-label": "the whole record" });
    this.cards = this.#cards();
    this.element = h("div", { class: "record-view" },
      h("div", { class: "wide" }, h("a", { class: "back", href: "#/desk" }, icon("arrow"), "Desk"), this.head), ...this.cards);
    for (const card of this.cards) card.hidden = true;
    this.look = event => event.detail.includes(this.id) && this.#load();
  }

  #cards() {
    const card = (title, ...parts) => h("section", { class: "card", "aria-label": title }, h("div", { class: "card-head" }, h("h2", {}, title)), ...parts);
    const timeline = card("Timeline", this.picture, legend("the caller"));
    timeline.classList.add("wide");
    const more = h("details", { class: "card wide" }, h("summary", {}, "The whole record"), this.raw);
    return [timeline,
      h("div", { class: "column" }, card("Recording", this.sound), card("Transcript", this.list), card("Sound", this.quality)),
      h("div", { class: "column" }, card("Interruptions", this.cuts), card("Why the bot was silent", this.silences)), more];
  }

  async open() {
    this.#isOpen = true;
    this.feed.addEventListener("change", this.look);
    await this.#load();
  }

  close() {
    this.#isOpen = false;
    this.feed.removeEventListener("change", this.look);
    this.#audio?.pause();
    if (this.address) URL.revokeObjectURL(this.address);
  }

  async #load() {
    try {
      this.#detail = await ask(`/api/calls/${encodeURIComponent(this.id)}`);
    } catch (error) {
      if (this.#detail) return; // what is shown stays; the line above says that the bridge is gone
      const text = error.status === 404 ? "There is no such call, or its record is not kept any more." : trouble(error);
      return this.head.replaceChildren(h("h1", {}, "No such call"), h("p", { class: "soft" }, text));
    }
    if (this.#isOpen) this.#show();
  }

  #show() {
    const call = this.#detail;
    this.#story = recount(call);
    for (const card of this.cards) card.hidden = false;
    this.#showHead(call);
    fill(this.list, this.#story, { caller: "Caller", empty: call.utterances.length ? "Words are kept only with recording.transcripts." : "Nothing was said." });
    const cuts = call.barge_ins.map((record, at) => interruption(record, at + 1, { budget: call.budget_ms, zero: this.#story.zero }));
    refill(this.cuts, ...(cuts.length ? cuts : [h("p", { class: "empty" }, falseAlarms(call))]));
    refill(this.quality, ...sides(call.media ?? {}, call));
    refill(this.silences, ...silences(call.media ?? {}));
    this.raw.textContent = JSON.stringify(call, null, 2);
    this.#draw();
    if (call.state === "ended") this.#listen();
  }

  #showHead(call) {
    const state = call.state === "ended" ? `Ended: ${ending(call.reason)}` : { up: "Standing now" }[call.state] ?? call.state;
    const length = call.answered_ns == null ? null : call.ended_ns == null ? null : clock((call.ended_ns - call.answered_ns) / 1e9);
    const first = call.first_audio_ns && call.answered_ns ? `first sound after ${ms((call.first_audio_ns - call.answered_ns) / 1e6)}` : null;
    const facts = [state, length, call.codec && `${call.codec}, ${call.rate_hz / 1000} kHz`, first, plural(call.barge_ins.length, "interruption")];
    this.title = callTitle({ ...this.feed.calls.get(this.id), ...call });
    this.head.replaceChildren(h("h1", {}, this.title), h("p", { class: "soft" }, facts.filter(Boolean).join(" · ")));
    document.title = `${this.title} · cosybridge`;
  }

  #draw() {
    if (!this.#story) return;
    const { zero, last } = this.#story, to = Math.max(last, zero + 5e9);
    const room = this.picture.clientWidth;
    const playhead = this.#audio && !this.#audio.paused ? zero + this.#audio.currentTime * 1e9 : null;
    this.timeline.draw(this.#story, { from: zero, to, width: Math.max(room, ((to - zero) / 1e9) * PX_PER_S), cuts: this.#detail.barge_ins, playhead });
  }

  /** Look whether there is a recording; a long one is loaded when somebody wants it. */
  async #listen() {
    if (this.#asked) return;
    this.#asked = true;
    const path = `/api/calls/${encodeURIComponent(this.id)}/recording`;
    try {
      const first = await send(path, { headers: { Range: "bytes=0-0" } });
      const bytes = Number(first.headers.get("Content-Range")?.split("/")[1] ?? first.headers.get("Content-Length"));
      await first.body?.cancel();
      const size = `${(bytes / 1e6).toFixed(1)} MB`;
      if (bytes <= MOST_AT_ONCE_BYTES) return await this.#fetchSound(path, size);
      const load = h("button", { type: "button", click: () => this.#fetchSound(path, size) }, icon("save"), `Load it (${size})`);
      this.sound.replaceChildren(load);
    } catch (error) {
      const text = error.status === 404 ? "This call was not recorded (recording.enabled)." : error.status === 403 ? "This token does not open recordings." : trouble(error);
      this.sound.replaceChildren(h("p", { class: "soft" }, text));
    }
  }

  async #fetchSound(path, size) {
    const blob = await (await send(path)).blob();
    if (!this.#isOpen) return;
    this.address = URL.createObjectURL(blob);
    this.#audio = h("audio", { controls: true, preload: "metadata", src: this.address, "aria-label": "recording: the caller left, the bot right", timeupdate: () => this.#draw(), pause: () => this.#draw() });
    this.sound.replaceChildren(this.#audio, h("a", { class: "button", href: this.address, download: `call-${this.id}.wav` }, icon("save"), `Download (${size})`));
  }

  #seek(seconds) {
    if (!this.#audio) return;
    this.#audio.currentTime = seconds;
    this.#draw();
  }
}

function falseAlarms(call) {
  return call.false_alarms ? `None; ${plural(call.false_alarms, "noise")} made the bot pause and go on.` : "None.";
}

function figures(...pairs) {
  return h("dl", { class: "figures" }, ...pairs.map(([title, value, note]) => h("div", {}, h("dt", {}, title), h("dd", {}, value, note ? h("small", {}, note) : null))));
}

function sides(media, call) {
  if (!media.rx_packets) return [h("p", { class: "empty" }, "No sound has come yet.")];
  const jitter = ticks => ms(((ticks ?? 0) * 1000) / (call.clock_rate_hz ?? (call.codec === "opus" ? 48000 : 8000)));
  const lowest = value => (value ? `lowest ${score(value)}` : "");
  const parts = [h("div", {}, h("h3", {}, "What the bot hears"),
    figures(["MOS", score(media.mos_in), lowest(media.mos_in_lowest)], ["Loss", percent(media.loss_in ?? 0)], ["Jitter", jitter(media.jitter_ticks)]))];
  parts.push(h("div", {}, h("h3", {}, "What the caller hears"), media.mos_out
    ? figures(["MOS", score(media.mos_out), lowest(media.mos_out_lowest)], ["Loss", percent(media.loss_out ?? 0)], ["Jitter", jitter(media.jitter_out_ticks)], ["Round trip", ms(media.round_trip_ms)])
    : h("p", { class: "empty" }, "The caller's side reports nothing.")));
  return parts;
}

/** Each silent packet has one cause; packets are of 20 ms. */
function silences(media) {
  const seconds = SILENCES.map(cause => ({ ...cause, seconds: (media[cause.name] ?? 0) * 0.02 })).filter(each => each.seconds > 0);
  if (!seconds.length) return [h("p", { class: "empty" }, "It never was.")];
  const most = Math.max(...seconds.map(each => each.seconds));
  return seconds.map(each => {
    const bar = h("span", { class: "fill" });
    bar.style.width = `${Math.max(1.5, (each.seconds / most) * 100)}%`;
    return h("div", {}, h("dt", {}, each.title), h("dd", { class: `track${each.isFault ? " over" : ""}`, "aria-hidden": "true" }, bar), h("dd", { class: "number" }, `${each.seconds.toFixed(1)} s`));
  });
}
