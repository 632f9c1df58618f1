// A call as a picture: both voices, who has the floor, and where the bot fell silent. Drawn from a story.

import { clock, h, svg } from "./dom.js";
import { cutAt } from "./recount.js";

const LANES = ["you", "bot", "floor"];
const GUTTER = 48, RIGHT = 10, TOP = 22, LANE = 24, GAP = 9, AXIS = 24;
const HEIGHT = TOP + LANES.length * (LANE + GAP) + AXIS;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];

let count = 0;

export class Timeline {
  /** `host` gets the picture, `onResize` draws it anew, `onSeek` gets the second of the call that was clicked; `caller` is who called. */
  constructor(host, { onResize, onSeek = null, caller = "You" }) {
    this.id = `hatch-${count++}`;
    this.host = host;
    this.onSeek = onSeek;
    this.names = { you: caller, bot: "Bot", floor: "Floor" };
    this.floor = { you: `${caller} can speak freely`, bot: "The bot has the floor", doubt: "The bot is silent, to hear who speaks" };
    this.picture = svg("svg", { role: "img", class: "timeline", height: HEIGHT });
    if (onSeek) this.picture.addEventListener("click", event => this.#seek(event));
    host.replaceChildren(this.picture);
    new ResizeObserver(onResize).observe(host);
  }

  /** Draw [from, to] of the story's time, in ns. `cuts` are the interruptions, `width` is in px. */
  draw(story, { from, to, width = this.host.clientWidth, cuts = [], playhead = null }) {
    if (width < 100 || to <= from) return;
    this.view = { from, to, width, zero: story.zero };
    const x = this.x = at => GUTTER + ((at - from) / (to - from)) * (width - GUTTER - RIGHT);
    const drawn = [this.#hatch(), ...this.#axis(story.zero)];
    for (const span of story.spans)
      if (span.who !== "doubt") drawn.push(this.#block(span.who, span.from, span.to ?? to, { isCut: span.what === "cut" }));
    for (const part of story.floor(Math.max(from, story.zero ?? from), to))
      drawn.push(this.#block("floor", part.from, part.to, { owner: part.owner }));
    let free = 0; // a label that would lie on the one before is left out
    for (const mark of story.marks.filter(each => each.at >= from && each.at <= to)) {
      const label = labelOf(mark, cuts), begins = Math.min(x(mark.at), width - 7 * label.length);
      const isShown = begins >= free;
      if (isShown) free = begins + 7 * label.length + 8;
      drawn.push(this.#mark(mark, isShown ? label : "", begins));
    }
    if (playhead != null) drawn.push(svg("line", { class: "playhead", x1: x(playhead), x2: x(playhead), y1: TOP - 4, y2: HEIGHT - AXIS }));
    this.picture.setAttribute("width", width);
    this.picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.picture.setAttribute("aria-label", `Timeline. ${story.summary(this.names.you)}`);
    this.picture.replaceChildren(...drawn.filter(Boolean));
  }

  #seek(event) {
    const { from, to, width, zero } = this.view ?? {};
    if (zero == null) return;
    const at = (event.offsetX - GUTTER) / (width - GUTTER - RIGHT);
    if (at >= 0 && at <= 1) this.onSeek((from + at * (to - from) - zero) / 1e9);
  }

  #hatch() {
    const lines = svg("path", { d: "M0 6 6 0M-1 1 1 -1M5 7 7 5", class: "hatch" });
    const ground = svg("rect", { width: 6, height: 6, class: "hatch-ground" });
    return svg("defs", {}, svg("pattern", { id: this.id, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, ground, lines));
  }

  #axis(zero) {
    const { from, to, width } = this.view, drawn = [];
    LANES.forEach((lane, at) => {
      const y = TOP + at * (LANE + GAP);
      drawn.push(svg("rect", { class: "lane", x: GUTTER, y, width: width - GUTTER - RIGHT, height: LANE, rx: 5 }));
      drawn.push(svg("text", { x: 0, y: y + LANE / 2 + 4, class: "lane-title" }, this.names[lane]));
    });
    const seconds = (to - from) / 1e9, room = Math.max(2, Math.floor((width - GUTTER) / 72));
    const step = STEPS_S.find(each => seconds / each <= room) ?? 1200;
    const base = zero ?? from;
    for (let at = Math.ceil((from - base) / 1e9 / step) * step; base + at * 1e9 <= to; at += step) {
      if (at < 0) continue;
      const x = this.x(base + at * 1e9);
      drawn.push(svg("line", { class: "tick", x1: x, x2: x, y1: TOP, y2: HEIGHT - AXIS + 2 }));
      if (x < width - 12) drawn.push(svg("text", { x, y: HEIGHT - 6, class: "tick-title", "text-anchor": "middle" }, clock(at)));
    }
    return drawn;
  }

  #block(lane, begin, end, { isCut = false, owner = lane }) {
    const { from, to } = this.view;
    if (end < from || begin > to) return null;
    const x = this.x(Math.max(begin, from)), width = Math.max(2, this.x(Math.min(end, to)) - x);
    const y = TOP + LANES.indexOf(lane) * (LANE + GAP);
    const seconds = `${((end - begin) / 1e9).toFixed(1)} s`;
    const what = lane === "floor" ? this.floor[owner] : `${this.names[lane]} spoke${isCut ? ", cut short" : ""}`;
    const block = svg("rect", { class: `block ${owner}`, x, y: y + 2, width, height: LANE - 4, rx: 4 }, svg("title", {}, `${what}: ${seconds}`));
    if (owner === "doubt") block.setAttribute("fill", `url(#${this.id})`);
    return block;
  }

  #mark(mark, label, begins) {
    const x = this.x(mark.at), isCut = mark.what === "cut";
    const line = svg("line", { x1: x, x2: x, y1: label ? TOP - 6 : TOP - 2, y2: isCut ? HEIGHT - AXIS : TOP + LANE });
    const text = label && svg("text", { x: begins, y: TOP - 10, class: "mark" }, label);
    return svg("g", { class: `${mark.what}-mark${mark.cause && mark.cause !== "speech" ? " quiet" : ""}` }, mark.what === "hold" ? null : line, text);
  }
}

/** What stands over a mark: for a voice, how soon it silenced the bot. */
function labelOf(mark, cuts) {
  if (mark.what !== "cut") return mark.text;
  const mute = nearest(cuts, mark.at)?.stages.find(stage => stage.name === "mute");
  return mute ? `silent in ${Math.round(mute.took_ms)} ms` : "";
}

/** The interruption that a mark belongs to: its playout was flushed then. */
function nearest(cuts, at) {
  const away = cut => Math.abs(cutAt(cut) - at);
  return cuts.filter(cut => away(cut) < 1e9).sort((a, b) => away(a) - away(b))[0];
}

/** What the colours of the floor mean. */
export function legend(caller = "you") {
  const entry = (owner, text) => h("span", {}, h("i", { class: owner }), text);
  return h("p", { class: "legend" }, entry("you", caller), entry("bot", "the bot"), entry("doubt", "silent, to hear who speaks"));
}
