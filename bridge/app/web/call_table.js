// A table of calls. A row stays the same element as long as its call is listed, so that a click or the focus on it is never lost.

import { h, tell } from "./dom.js";
import { icon } from "./icons.js";
import { callTitle } from "./words.js";

export class CallTable {
  #rows = new Map();

  /** `columns` are [title, class] of what `cells(call)` returns, in that order. */
  constructor(id, title, columns, cells) {
    this.columns = columns;
    this.cells = cells;
    this.body = h("tbody");
    const heads = [["Call"], ...columns].map(([head, kind]) => h("th", { scope: "col", class: kind }, head));
    this.table = h("table", { class: "calls", "aria-labelledby": `${id}-title` }, h("thead", {}, h("tr", {}, ...heads)), this.body);
    this.empty = h("p", { class: "empty" });
    this.count = h("span", { class: "soft number" });
    const head = h("div", { class: "card-head" }, h("h2", { id: `${id}-title` }, title), this.count);
    this.element = h("section", { class: "card calls-card", "aria-labelledby": `${id}-title` }, head, this.empty, this.table);
  }

  /** Show these calls in this order; without any, `empty` says why. */
  show(calls, empty) {
    this.table.hidden = !calls.length;
    this.empty.hidden = calls.length > 0;
    tell(this.empty, empty);
    tell(this.count, calls.length ? String(calls.length) : "");
    const listed = new Set(calls.map(call => call.id));
    for (const [id, row] of this.#rows) if (!listed.has(id)) {
      row.element.remove();
      this.#rows.delete(id);
    }
    calls.forEach((call, at) => {
      const row = this.#row(call);
      if (this.body.children[at] !== row.element) this.body.insertBefore(row.element, this.body.children[at] ?? null);
    });
  }

  #row(call) {
    let row = this.#rows.get(call.id);
    if (!row) this.#rows.set(call.id, (row = this.#made(call)));
    if (row.call === call) return row;
    row.call = call;
    tell(row.title, (row.title.title = callTitle(call)));
    this.cells(call).forEach((content, at) => row.cells[at].replaceChildren(content));
    return row;
  }

  #made(call) {
    const way = call.direction === "inbound" ? "inbound" : "outbound";
    const title = h("span", { class: "title" });
    const link = h("a", { href: `#/calls/${encodeURIComponent(call.id)}` }, icon(way), title, h("span", { class: "hidden" }, `, ${way}`));
    const cells = this.columns.map(([, kind]) => h("td", { class: kind }));
    const open = event => { if (!event.target.closest("a")) link.click(); };
    return { title, cells, element: h("tr", { click: open }, h("td", { class: "who-cell" }, link), ...cells) };
  }
}
