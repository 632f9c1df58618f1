// The stages of an interruption, each with its time against what it may take.

import { h, ms } from "./dom.js";
import { CAUSES, STAGES } from "./words.js";

/** One interruption as a small table. `budget` is in ms by stage; `zero` is when the call was answered. */
export function interruption(record, number, { budget = {}, zero = null } = {}) {
  const took = record.stages_ms ?? {};
  const at = record.t1 ?? record.t4;
  const when = zero != null && at != null ? `, ${((at - zero) / 1e9).toFixed(1)} s into the call` : "";
  const title = `Interruption ${number} by ${CAUSES[record.cause] ?? "somebody"}${when}`;
  const lead = took.mute != null ? h("p", { class: "lead" }, h("strong", {}, ms(took.mute)), " until the bot was silent") : null;
  const longest = Math.max(...Object.values(took), 1);
  const rows = STAGES.filter(stage => took[stage.name] != null || stage.name in budget).map(stage => row(stage, took[stage.name], budget[stage.name], longest));
  const head = h("thead", {}, h("tr", {}, ...["Stage", "Share of its budget", "Took", "Budget"].map(text => h("th", { scope: "col" }, text))));
  return h("article", { class: "interruption" }, h("h3", {}, title), lead,
    h("table", { class: "stages", "aria-label": title }, head, h("tbody", {}, ...rows)));
}

function row(stage, took, allowed, longest) {
  const isOver = took != null && allowed != null && took > allowed;
  const bar = h("span", { class: `track${isOver ? " over" : ""}${allowed == null ? "" : " limited"}` });
  if (took != null) {
    const fill = h("span", { class: "fill" });
    // A stage at its budget fills three quarters: what is over it still shows by how much.
    fill.style.width = `${Math.min(100, Math.max(1.5, (took / (allowed ?? longest)) * 75))}%`;
    bar.append(fill);
  }
  const verdict = isOver ? h("span", { class: "badge over" }, "over") : null;
  return h("tr", { title: stage.about },
    h("th", { scope: "row" }, stage.title),
    h("td", { class: "bar-cell", "aria-hidden": "true" }, bar),
    h("td", { class: "number" }, ms(took), verdict),
    h("td", { class: "number soft" }, allowed == null ? "–" : ms(allowed)));
}
