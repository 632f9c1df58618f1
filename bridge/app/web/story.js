// What happened in a call, out of its events: who spoke when, who had the floor, what was said. No element is touched here.

const MOST_SPANS = 4000;

export class Story {
  /** When the call was answered: where its clock begins. */
  zero = null;
  last = 0;
  isOver = false;
  /** Stretches: `who` is you, bot, or doubt (the bot is silent and waits for a verdict). */
  spans = [];
  /** Marks: `what` is cut, key, hold or text. */
  marks = [];
  /** What was said, in the order in which it began. */
  lines = [];
  #open = {};

  /** Take one event; returns whether it changed anything. */
  add(note) {
    if (note.type === "hello") return this.#hello(note);
    if (note.at_ns == null) return false;
    this.zero ??= note.at_ns;
    this.last = Math.max(this.last, note.at_ns);
    this.#take(note, note.at_ns);
    return true;
  }

  #hello(note) {
    const call = note.calls[0];
    if (!call) return false;
    this.zero ??= call.answered_ns ?? call.started_ns;
    this.last = Math.max(this.last, this.zero);
    return true;
  }

  #take(note, at) {
    switch (note.type) {
      case "call.answered": this.zero = at; break;
      case "voice.started": this.#begin("you", at); break;
      case "voice.stopped": this.#end("you", at); break;
      case "voice.words": this.#words(note); break;
      case "speech.started": this.#spoken(note, at); break;
      case "speech.ended": this.#said(note, at); break;
      case "speech.ducked": this.#begin("doubt", at); break;
      case "speech.resumed": this.#end("doubt", at, "noise"); break;
      case "speech.flushed":
        this.#end("doubt", at, "cut");
        this.marks.push({ what: "cut", at, cause: note.cause });
        break;
      case "digit":
        this.marks.push({ what: "key", at, text: note.digit });
        this.#line({ key: `d${note.seq}`, who: "you", at, text: `pressed ${note.digit}`, isAside: true });
        break;
      case "text":
        this.#line({ key: `t${note.seq}`, who: "you", at, text: note.text });
        break;
      case "call.held": this.marks.push({ what: "hold", at, text: "on hold" }); break;
      case "call.resumed": this.marks.push({ what: "hold", at, text: "goes on" }); break;
      case "call.ended": this.#close(at); break;
    }
  }

  #begin(who, from) {
    this.#end(who, from);
    this.#open[who] = { who, from, to: null, what: "" };
    this.spans.push(this.#open[who]);
    if (this.spans.length > MOST_SPANS) this.spans.shift();
  }

  #end(who, to, what = "") {
    const span = this.#open[who];
    if (!span) return;
    Object.assign(span, { to, what });
    delete this.#open[who];
  }

  #spoken(note, at) {
    this.#begin("bot", at);
    this.#line({ key: `s${note.seq}`, who: "bot", at, text: "", isSpeaking: true });
  }

  /** What the bot is saying now, as far as it is known. */
  saying(text) {
    const line = this.lines.findLast(each => each.who === "bot" && each.isSpeaking);
    if (line) line.text = text;
  }

  /** The bot's words are known when its utterance is over: what was heard, and what was not. */
  #said(note, at) {
    if (!this.#open.bot) this.spans.push(this.#open.bot = { who: "bot", from: at - note.played_ms * 1e6, to: null, what: "" });
    this.#end("bot", at, note.interrupted ? "cut" : "");
    let line = this.lines.findLast(each => each.who === "bot" && each.isSpeaking);
    if (!line) this.#line(line = { key: `s${note.seq}`, who: "bot", at: at - note.played_ms * 1e6 });
    Object.assign(line, {
      isSpeaking: false,
      isCut: note.interrupted,
      text: note.heard ?? "",
      unheard: note.unheard ?? "",
      error: note.error,
      seconds: note.played_ms / 1000,
      hasText: note.heard != null,
    });
  }

  /** The caller's words: those of the same id replace those before. */
  #words(note) {
    const key = `w${note.id}`;
    const line = this.lines.find(each => each.key === key);
    const said = { text: note.text, isSpeaking: !note.final };
    if (line) Object.assign(line, said);
    else this.#line({ key, who: "you", at: note.began_ns, ...said });
  }

  #line(line) {
    const before = this.lines.findLastIndex(each => each.at <= line.at);
    this.lines.splice(before + 1, 0, line);
    if (this.lines.length > MOST_SPANS) this.lines.shift();
  }

  #close(at) {
    for (const who of Object.keys(this.#open)) this.#end(who, at);
    for (const line of this.lines) line.isSpeaking = false;
    this.isOver = true;
  }

  /** Who has the floor in each stretch of [from, to]: you, bot, or doubt; the caller's voice takes it only when the bot is still. */
  floor(from, to) {
    const edges = new Set([from, to]);
    for (const span of this.spans) for (const at of [span.from, span.to ?? to]) if (at > from && at < to) edges.add(at);
    const at = [...edges].sort((a, b) => a - b);
    const stretches = [];
    for (let index = 0; index + 1 < at.length; index++) {
      const owner = this.#owner((at[index] + at[index + 1]) / 2, to);
      const before = stretches.at(-1);
      if (before?.owner === owner) before.to = at[index + 1];
      else if (owner) stretches.push({ owner, from: at[index], to: at[index + 1] });
      else stretches.push({ owner: "", from: at[index], to: at[index + 1] });
    }
    return stretches.filter(each => each.owner);
  }

  #owner(at, now) {
    const here = new Set(this.spans.filter(span => span.from <= at && at < (span.to ?? now)).map(span => span.who));
    return here.has("doubt") ? "doubt" : here.has("bot") ? "bot" : here.has("you") ? "you" : "";
  }

  /** For somebody who cannot see the picture. */
  summary(caller) {
    const count = who => this.spans.filter(span => span.who === who).length;
    const cuts = this.marks.filter(mark => mark.what === "cut").length;
    return `${caller} spoke ${times(count("you"))}, the bot ${times(count("bot"))}; it was interrupted ${times(cuts)}.`;
  }
}

const times = count => (count === 1 ? "once" : count === 2 ? "twice" : `${count} times`);
