// What was said, line by line: words that the caller cut off are struck through.

import { h } from "./dom.js";

/** Fill a list with a story's lines, and keep to its end if somebody looks at its end. */
export function fill(list, story, { empty, caller = "You" }) {
  const isAtEnd = list.scrollTop + list.clientHeight > list.scrollHeight - 40;
  const lines = story.lines.map(said => line(said, caller)).filter(Boolean);
  list.replaceChildren(...(lines.length ? lines : [h("li", { class: "empty" }, empty)]));
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function line(said, caller) {
  const words = said.who === "bot" ? ours(said) : theirs(said);
  if (!words) return null;
  const name = h("span", { class: "who" }, said.who === "bot" ? "Bot" : caller);
  return h("li", { class: `said ${said.who}${said.isAside ? " aside" : ""}` }, name, h("p", {}, ...words));
}

function theirs(said) {
  return said.isSpeaking ? [said.text, h("span", { class: "soft" }, " …")] : [said.text];
}

function ours(said) {
  if (said.error) return [h("span", { class: "soft" }, `the voice failed: ${said.error}`)];
  // How far it has been heard is known when it is over; until then it is only what is being said.
  if (said.isSpeaking) return [h("span", { class: "soft" }, `${said.text || "speaking"} …`)];
  if (!said.hasText) return [h("span", { class: "soft" }, `${said.seconds.toFixed(1)} s of speech${said.isCut ? ", cut short" : ""}`)];
  const parts = [said.text];
  if (said.unheard) {
    // Read out as what it is: a screen reader does not say that text is struck through.
    parts.push(said.text ? " " : "", h("span", { class: "hidden" }, "(not heard: "));
    parts.push(h("s", { title: "not heard" }, said.unheard.trim()), h("span", { class: "hidden" }, ")"));
  }
  return parts;
}
