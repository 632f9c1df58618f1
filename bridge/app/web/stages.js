// The stages of an interruption, each with its time against what it may take.

import { h, ms } from "./dom.js";
import { CAUSES, STAGES } from "./words.js";

/** One interruption as a small table; `zero` is when the call was answered, in ns. */
export function interruption(cut, { zero = null } = {}) {
  const when = zero == null ? "" : `, ${((cut.began_ns - zero) / 1e9).toFixed(1)} s into the call`;
  const title = `Interruption ${cut.number} by ${CAUSES[cut.cause] ?? "somebody"}${when}`;
  const mute = cut.stages.find(stage => stage.name === "mute");
  const lead = mute ? h("p", { class: "lead" }, h("strong", {}, ms(mute.took_ms)), " until the bot was silent") : null;
  const head = h("thead", {}, h("tr", {}, ...["Stage", "Share of its budget", "Took", "Budget"].map(text => h("th", { scope: "col" }, text))));
  return h("article", { class: "interruption" }, h("h3", {}, title), lead,
    h("table", { class: "stages", "aria-label": title }, head, h("tbody", {}, ...cut.stages.map(row))));
}

function row({ name, took_ms: took, budget_ms: allowed, over: isOver }) {
  const { title, about } = STAGES[name] ?? { title: name, about: "" };
  const fill = h("span", { class: "fill" });
  // A stage at its budget fills three quarters: what is over it still shows by how much.
  fill.style.width = `${Math.min(100, Math.max(1.5, (took / allowed) * 75))}%`;
  return h("tr", { title: about },
    h("th", { scope: "row" }, title),
    h("td", { class: "bar-cell", "aria-hidden": "true" }, h("span", { class: `track limited${isOver ? " over" : ""}` }, fill)),
    h("td", { class: `number${isOver ? " over" : ""}` }, ms(took), isOver ? h("span", { class: "hidden" }, " over budget") : null),
    h("td", { class: "number soft" }, ms(allowed)));
}
