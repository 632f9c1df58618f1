// The story of a call out of its timeline and transcript, for whoever was not there.

import { Story } from "./story.js";

/** `timeline` and `transcript` are those of docs/api.md; `now` ends in the picture what has not ended yet. */
export function recount({ timeline, transcript }, { zero, now, isOver }) {
  const story = new Story();
  story.zero = zero;
  story.last = now;
  story.isOver = isOver;
  const spans = (who, entries, what) => (entries ?? []).map(each => ({ who, from: each.began_ns, to: each.ended_ns, what: what(each) }));
  story.spans = [
    ...spans("you", timeline.caller, () => ""),
    ...spans("bot", timeline.bot, each => (each.interrupted ? "cut" : "")),
    ...spans("doubt", timeline.ducks, each => each.outcome ?? ""),
  ];
  story.marks = [
    ...(timeline.keys ?? []).map(each => ({ what: "key", at: each.ended_ns ?? each.began_ns, text: "key" })),
    ...(timeline.barge_ins ?? []).map(each => ({ what: "cut", at: cutAt(each), cause: each.cause })),
  ].sort((a, b) => a.at - b.at);
  story.lines = (transcript ?? []).map(line).sort((a, b) => a.at - b.at);
  return story;
}

function line(said) {
  return {
    key: `${said.who} ${said.number}`,
    who: said.who === "bot" ? "bot" : "you",
    at: said.began_ns,
    text: said.heard ?? said.text ?? "",
    unheard: said.unheard ?? "",
    isSpeaking: said.ended_ns == null,
    isCut: said.interrupted,
    hasText: said.text != null,
    seconds: said.ended_ns == null ? 0 : (said.ended_ns - said.began_ns) / 1e9,
  };
}

/** When an interruption cut the bot off, in ns. */
export function cutAt(cut) {
  const ended = name => cut.stages.find(stage => stage.name === name)?.ended_ns;
  return ended("flush") ?? ended("mute") ?? cut.began_ns;
}
