// One call: what was said and when, each interruption against its budget, how it sounded, and its recording.

import { ask, send } from "./access.js";
import { clock, h, ms, percent, plural, refill, score, tell } from "./dom.js";
import { icon } from "./icons.js";
import { recount } from "./recount.js";
import { interruption } from "./stages.js";
import { Timeline, legend } from "./timeline.js";
import { fill } from "./transcript.js";
import { callTitle, ending, SILENCES, trouble } from "./words.js";

const MOST_AT_ONCE_BYTES = 24e6;
const PX_PER_S = 9;
const PACKET_MS = 20;

export class RecordView {
  title = "A call";
  #record = null;
  #story = null;
  #cuts = [];
  #row = undefined;
  #audio = null;
  #isOpen = false;
  #isLoading = false;
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
    this.sound = h("div", { class: "listen" }, h("p", { class: "soft" }, "It can be played once the call is over."));
    this.raw = h("pre", { tabindex: 0, "aria-label": "the whole record" });
    this.cards = this.#cards();
    this.element = h("div", { class: "record-view" },
      h("div", { class: "wide" }, h("a", { class: "back", href: "#/desk" }, icon("arrow"), "Desk"), this.head), ...this.cards);
    for (const card of this.cards) card.hidden = true;
    this.look = event => {
      // A change of other calls is nothing to this one.
      if (event.type === "detail" || this.feed.calls.get(this.id) !== this.#row) this.#show();
    };
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
    for (const type of ["change", "detail"]) this.feed.addEventListener(type, this.look);
    this.feed.watch(this.id);
    await this.#load();
  }

  close() {
    this.#isOpen = false;
    for (const type of ["change", "detail"]) this.feed.removeEventListener(type, this.look);
    this.feed.watch(null);
    this.#audio?.pause();
    if (this.address) URL.revokeObjectURL(this.address);
  }

  /** The whole record; a call that is over for long is in no list of the feed. */
  async #load() {
    this.#isLoading = true;
    try {
      this.#record = await ask(`/api/calls/${encodeURIComponent(this.id)}`);
    } catch (error) {
      if (this.#record) return; // what is shown stays; the line above says that the bridge is gone
      const text = error.status === 404 ? "There is no such call, or its record is not kept any more." : trouble(error);
      return this.head.replaceChildren(h("h1", {}, "No such call"), h("p", { class: "soft" }, text));
    } finally {
      this.#isLoading = false;
    }
    this.raw.textContent = JSON.stringify(this.#record, null, 2);
    if (this.#isOpen) this.#show();
  }

  #show() {
    this.#row = this.feed.calls.get(this.id);
    const call = { ...this.#record, ...this.#row }, detail = this.feed.detail;
    if (!this.#record || !detail?.known) return;
    if (call.state === "ended" && this.#record.state !== "ended" && !this.#isLoading) this.#load();
    const zero = call.answered_ns ?? call.started_ns;
    this.#story = recount(detail, { zero, now: call.ended_ns ?? this.feed.nowNs ?? zero, isOver: call.state === "ended" });
    this.#cuts = detail.timeline.barge_ins;
    for (const card of this.cards) card.hidden = false;
    this.#showHead(call);
    fill(this.list, this.#story, { caller: "Caller", empty: detail.transcript ? "Nothing was said." : this.feed.may.transcripts ? "Words are kept only with recording.transcripts." : "This token does not open what was said." });
    const cuts = this.#cuts.map(cut => interruption(cut, { zero }));
    refill(this.cuts, ...(cuts.length ? cuts : [h("p", { class: "empty" }, falseAlarms(call))]));
    refill(this.quality, ...sides(call.quality ?? qualityOf(detail.media, call)));
    refill(this.silences, ...silences(call.silence_ms ?? silenceOf(detail.media)));
    this.#draw();
    if (this.#record.state === "ended") this.#listen();
  }

  #showHead(call) {
    const state = call.state === "ended" ? `Ended: ${ending(call.reason)}` : { up: "Standing now" }[call.state] ?? call.state;
    const length = call.answered_ns == null || call.ended_ns == null ? null : clock((call.ended_ns - call.answered_ns) / 1e9);
    const first = call.first_audio_ns && call.answered_ns ? `first sound after ${ms((call.first_audio_ns - call.answered_ns) / 1e6)}` : null;
    const facts = [this.feed.timeOf(call.started_ns), state, length, call.codec && `${call.codec}, ${call.rate_hz / 1000} kHz`, first, plural(this.#cuts.length, "interruption")];
    const title = callTitle(call);
    if (this.title !== title) this.head.replaceChildren(h("h1", {}, title), (this.facts = h("p", { class: "soft" })));
    tell(this.facts, facts.filter(Boolean).join(" · "));
    this.title = title;
    document.title = `${title} · cosybridge`;
  }

  #draw() {
    if (!this.#story) return;
    const { zero, last } = this.#story, to = Math.max(last, zero + 5e9);
    const room = this.picture.clientWidth;
    const playhead = this.#audio && !this.#audio.paused ? zero + this.#audio.currentTime * 1e9 : null;
    this.timeline.draw(this.#story, { from: zero, to, width: Math.max(room, ((to - zero) / 1e9) * PX_PER_S), cuts: this.#cuts, playhead });
  }

  /** Look whether there is a recording; a long one is loaded when somebody wants it. */
  async #listen() {
    if (this.#asked) return;
    this.#asked = true;
    if (!this.feed.may.recordings || !this.#record.has_recording) {
      const text = this.feed.may.recordings ? "This call was not recorded (recording.enabled)." : "This token does not open recordings.";
      return this.sound.replaceChildren(h("p", { class: "soft" }, text));
    }
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
      const text = error.status === 404 ? "The recording is not kept any more." : trouble(error);
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

function sides(quality) {
  if (quality.mos_in == null) return [h("p", { class: "empty" }, "Too little sound has come yet.")];
  const side = way => [
    ["MOS", score(quality[`mos_${way}`]), `lowest ${score(quality[`mos_${way}_lowest`])}`],
    ["Loss", percent(quality[`loss_${way}`])],
    ["Jitter", ms(quality[`jitter_${way}_ms`])],
  ];
  const back = quality.mos_out == null ? h("p", { class: "empty" }, "The caller's side reports nothing.") : figures(...side("out"), ["Round trip", ms(quality.round_trip_ms)]);
  return [h("div", {}, h("h3", {}, "What the bot hears"), figures(...side("in"))), h("div", {}, h("h3", {}, "What the caller hears"), back)];
}

/** The same figures out of the counters of a call that is over for long. */
function qualityOf(media, call) {
  const rate = call.codec === "opus" ? 48 : 8; // ticks of the RTP clock in a millisecond
  const known = value => value || null;
  return {
    ...media, mos_in: known(media.mos_in), mos_out: known(media.mos_out),
    jitter_in_ms: (media.jitter_ticks ?? 0) / rate, jitter_out_ms: (media.jitter_out_ticks ?? 0) / rate,
  };
}

const silenceOf = media => Object.fromEntries(SILENCES.map(({ name }) => [name, (media[`silence_${name}`] ?? 0) * PACKET_MS]));

function silences(took) {
  const causes = SILENCES.map(cause => ({ ...cause, seconds: (took[cause.name] ?? 0) / 1000 })).filter(each => each.seconds > 0);
  if (!causes.length) return [h("p", { class: "empty" }, "It never was.")];
  const most = Math.max(...causes.map(each => each.seconds));
  return causes.map(({ title, seconds, isFault }) => {
    const bar = h("span", { class: "fill" });
    bar.style.width = `${Math.max(1.5, (seconds / most) * 100)}%`;
    return h("div", {}, h("dt", {}, title), h("dd", { class: `track${isFault ? " over" : ""}`, "aria-hidden": "true" }, bar), h("dd", { class: "number" }, `${seconds.toFixed(1)} s`));
  });
}
