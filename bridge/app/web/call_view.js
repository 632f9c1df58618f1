// The caller's view: call, talk, interrupt, press keys, let the bot say something, and see what happens.

import { order } from "./access.js";
import { ChoiceFields } from "./choice_fields.js";
import { clock, h, plural, tell } from "./dom.js";
import { icon } from "./icons.js";
import { Phone } from "./phone.js";
import { interruption } from "./stages.js";
import { Story } from "./story.js";
import { Timeline, legend } from "./timeline.js";
import { fill } from "./transcript.js";
import { ending, hint, trouble } from "./words.js";

const SHOWN_NS = 30e9;
const PICTURE_MS = 100, CALM_PICTURE_MS = 1000;
const CUTS_SHOWN = 3;
const KEYS = "123456789*0#";
const READY = "Press Call and talk. Interrupt the bot whenever you like.";
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

export class CallView {
  title = "Call";
  #story = new Story();
  #cuts = [];
  #heardAt = 0;
  #drawnAt = 0;
  #since = 0;

  /** `onPhone` is told whenever the phone's state changes: another view may want to show it. */
  constructor(feed, { onPhone }) {
    this.feed = feed;
    const speaker = h("audio", { autoplay: true });
    this.phone = new Phone(speaker);
    this.choice = new ChoiceFields({ onMicrophone: id => this.phone.use(id).catch(error => this.#alarm(error)) });
    this.element = h("div", { class: "call-view" }, this.#phoneCard(speaker), this.#talkCard(), this.#cutsCard());
    this.timeline = new Timeline(this.picture, { onResize: () => this.#draw() });
    this.phone.addEventListener("state", () => { this.#showState(); onPhone(); });
    this.phone.addEventListener("note", event => this.#note(event.detail));
    this.phone.addEventListener("touch", event => { this.lost.hidden = event.detail; });
    this.phone.addEventListener("over", event => this.#over(event.detail));
    feed.addEventListener("detail", event => this.#look(event.detail));
    feed.addEventListener("state", () => this.#showRight());
    addEventListener("pagehide", () => this.phone.hangUp());
    this.#showState();
    this.#tell();
  }

  async open() {
    this.feed.watch(this.phone.id || null);
    this.#showRight();
    await Promise.all([this.choice.load(), this.phone.findServers()]).catch(error => this.#alarm(error));
    this.#draw();
    this.list.scrollTop = this.list.scrollHeight;
  }

  close() {
    this.feed.watch(null);
  }

  get seconds() {
    return this.phone.state === "up" ? (performance.now() - this.#since) / 1000 : 0;
  }

  #phoneCard(speaker) {
    this.status = h("p", { class: "status", role: "status" }, READY);
    this.timer = h("p", { class: "timer", role: "timer", "aria-label": "length of the call" });
    this.alarm = h("p", { class: "alarm", role: "alert", hidden: true });
    this.lost = h("p", { class: "lost", role: "status", hidden: true }, "The bridge is out of reach. Trying again …");
    this.orb = h("div", { class: "orb", "aria-hidden": "true" }, h("span", { class: "ring bot" }), h("span", { class: "ring you" }), h("span", { class: "core" }, icon("phone")));
    this.callButton = h("button", { type: "button", class: "big go", click: () => this.#call() }, icon("phone"), "Call");
    this.endButton = h("button", { type: "button", class: "big stop", click: () => this.phone.hangUp() }, icon("phone"), "Hang up");
    this.muteButton = h("button", { type: "button", "aria-pressed": "false", click: () => this.#mute() }, icon("microphone"), h("span", {}, "Mute"));
    this.keysButton = h("button", { type: "button", "aria-expanded": "false", "aria-controls": "pad", click: () => this.#showKeys(this.pad.hidden) }, icon("keys"), "Keys");
    this.level = h("span", { class: "fill" });
    this.meter = h("div", { class: "level", role: "meter", "aria-label": "your voice", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, this.level);
    this.pad = h("div", { id: "pad", role: "group", "aria-label": "keys of a telephone", hidden: true, keydown: event => this.#typed(event) },
      ...[...KEYS].map(key => h("button", { type: "button", click: () => this.phone.press(key) }, key)));
    this.controls = h("div", { class: "controls" }, this.muteButton, this.keysButton);
    return h("section", { class: "card phone", "aria-labelledby": "call-title" },
      h("h1", { id: "call-title" }, "Talk to the bot"), this.orb, this.status, this.timer, this.alarm, this.lost,
      this.callButton, this.endButton, this.controls, this.pad,
      h("div", { class: "meter-row" }, h("span", { class: "soft", "aria-hidden": "true" }, "Your voice"), this.meter),
      this.choice.element, speaker);
  }

  #talkCard() {
    this.picture = h("div", { class: "picture" });
    this.legend = legend();
    this.list = h("ol", { class: "transcript", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "what was said" });
    this.sentence = h("input", { id: "sentence", type: "text", maxlength: 2000, autocomplete: "off", placeholder: "Type a sentence" });
    this.sayButton = h("button", { class: "go" }, icon("send"), "Say it");
    this.sayForm = h("form", { class: "say", submit: event => this.#say(event) },
      h("label", { for: "sentence" }, "Let the bot say"), h("div", { class: "row" }, this.sentence, this.sayButton));
    this.more = h("a", { class: "more", hidden: true }, "Everything about this call");
    return h("section", { class: "card talk", "aria-labelledby": "talk-title" },
      h("div", { class: "card-head" }, h("h2", { id: "talk-title" }, "Conversation"), this.more), this.picture, this.legend, this.list, this.sayForm);
  }

  #cutsCard() {
    this.cuts = h("div", { class: "interruptions" });
    this.cutsTitle = h("h2", { id: "cuts-title" }, "Interruptions");
    return (this.cutsCard = h("section", { class: "card cuts", "aria-labelledby": "cuts-title", hidden: true }, this.cutsTitle, this.cuts));
  }

  async #call() {
    this.alarm.hidden = true;
    this.#story = new Story();
    this.#cuts = [];
    this.phone.id = "";
    this.#show();
    try {
      await this.phone.call(this.choice.wishes());
      await this.choice.findMicrophones();
    } catch (error) {
      this.#alarm(error);
      tell(this.status, READY);
    }
  }

  #alarm(error) {
    tell(this.alarm, trouble(error));
    this.alarm.hidden = false;
  }

  #showState() {
    const { state } = this.phone, isIdle = state === "idle", isUp = state === "up";
    const hadFocus = [this.callButton, this.endButton].includes(document.activeElement);
    this.callButton.hidden = !isIdle;
    this.endButton.hidden = isIdle;
    if (hadFocus) (isIdle ? this.callButton : this.endButton).focus();
    this.element.dataset.state = state;
    this.endButton.lastChild.textContent = isUp ? "Hang up" : "Cancel";
    for (const each of [this.muteButton, this.keysButton, this.sentence, this.sayButton, ...this.pad.children]) each.disabled = !isUp;
    if (isIdle) this.#showKeys(false);
    const said = { asking: "Waiting for the microphone …", calling: "Calling …", up: `Connected in ${this.phone.connectedMs} ms` }[state];
    if (said) tell(this.status, said);
    if (isUp) {
      this.#since = performance.now();
      this.element.dataset.connectedMs = this.phone.connectedMs;
      this.#live();
    }
  }

  #note(note) {
    this.#heardAt = performance.now();
    if (!this.#story.add(note)) return;
    if (note.type === "hello" && this.element.isConnected) this.feed.watch(this.phone.id);
    this.#tell();
  }

  /** What events do not carry: the stages of interruptions, and the words of what is being said. */
  #look(detail) {
    if (detail.call !== this.phone.id) return;
    this.#cuts = detail.timeline.barge_ins;
    const now = detail.transcript?.findLast(line => line.who === "bot" && line.ended_ns == null);
    this.#story.saying(now?.text ?? "");
    this.#show();
  }

  /** A token that only looks opens no call. */
  #showRight() {
    const { order: mayCall } = this.feed.may;
    this.callButton.disabled = !mayCall;
    this.sayForm.hidden = !mayCall;
    if (this.phone.state === "idle" && !mayCall) tell(this.status, "This token only looks: it may not call.");
  }

  #over(reason) {
    tell(this.status, `The call is over: ${ending(reason, "you")}. ${hint(reason)}`.trim());
    this.lost.hidden = true;
    this.timer.textContent = "";
    this.#tell();
  }

  #show() {
    this.#tell();
    this.cutsCard.hidden = !this.#cuts.length;
    tell(this.cutsTitle, plural(this.#cuts.at(-1)?.number ?? 0, "interruption"));
    const shown = this.#cuts.slice(-CUTS_SHOWN).reverse();
    this.cuts.replaceChildren(...shown.map(cut => interruption(cut, { zero: this.#story.zero })));
    this.more.hidden = !this.phone.id;
    this.more.href = `#/calls/${this.phone.id}`;
  }

  #tell() {
    fill(this.list, this.#story, { empty: "What is said appears here." });
    this.#draw();
  }

  /** Move the picture and the levels on while the call stands. */
  #live() {
    const step = now => {
      if (this.phone.state !== "up") return this.#levels(0, 0);
      this.#levels(this.phone.level("you"), this.phone.level("bot"));
      tell(this.timer, clock(this.seconds));
      if (now - this.#drawnAt > (isCalm.matches ? CALM_PICTURE_MS : PICTURE_MS)) this.#draw(now);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  #levels(you, bot) {
    this.level.style.width = `${Math.round(you * 100)}%`;
    const said = Math.round(you * 10) * 10;
    if (this.meter.getAttribute("aria-valuenow") !== String(said)) this.meter.setAttribute("aria-valuenow", said);
    this.orb.style.setProperty("--loud-you", you.toFixed(2));
    this.orb.style.setProperty("--loud-bot", bot.toFixed(2));
  }

  #draw(now = performance.now()) {
    this.#drawnAt = now;
    const story = this.#story, zero = story.zero ?? 0;
    this.picture.hidden = this.legend.hidden = story.zero == null;
    const last = this.phone.state === "up" && story.zero != null ? story.last + (now - this.#heardAt) * 1e6 : story.last;
    const to = Math.max(last, zero + SHOWN_NS / 3);
    this.timeline.draw(story, { from: Math.max(zero, to - SHOWN_NS), to, cuts: this.#cuts });
  }

  #mute() {
    const isMuted = !this.phone.isMuted;
    this.phone.mute(isMuted);
    this.muteButton.setAttribute("aria-pressed", String(isMuted));
  }

  #showKeys(isShown) {
    this.pad.hidden = !isShown;
    this.keysButton.setAttribute("aria-expanded", String(isShown));
  }

  #typed(event) {
    if (KEYS.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) this.phone.press(event.key);
  }

  async #say(event) {
    event.preventDefault();
    const text = this.sentence.value.trim();
    if (!text || !this.phone.id) return;
    this.sentence.value = "";
    await order(`/api/calls/${this.phone.id}/say`, { text, mode: "now" }).catch(error => this.#alarm(error));
  }
}
