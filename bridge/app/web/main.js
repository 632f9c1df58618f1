// Where the page begins: the token, the views and the way between them, and whether the bridge is there.

import { access, enter, forget } from "./access.js";
import { CallView } from "./call_view.js";
import { DeskView } from "./desk_view.js";
import { $, clock, h, tell } from "./dom.js";
import { Feed } from "./feed.js";
import { gate } from "./gate.js";
import { RecordView } from "./record_view.js";

const ON_CALL_MS = 1000;
/** What the bar says of the line to the bridge. */
const LINES = {
  live: "Live",
  lost: "Bridge out of reach, trying again …",
  full: "Too many pages are open",
  blocked: "WebSockets are blocked",
};

const feed = new Feed();
let calling, desk, current = null;

function view() {
  const [name, id] = location.hash.replace(/^#\/?/, "").split("/");
  if (name === "desk") return (desk ??= new DeskView(feed));
  if (name === "calls" && id) return new RecordView(feed, decoded(id));
  return calling;
}

/** A link that somebody mistyped names no call, and says so. */
function decoded(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

/** Show what the address names. The focus goes to the view, so that a screen reader begins to read there. */
async function show({ isFirst = false } = {}) {
  const next = view();
  if (next === current) return;
  current?.close();
  current = next;
  document.title = `${next.title} · cosybridge`;
  const section = next === calling ? "call" : "desk";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("main").replaceChildren(next.element);
  if (!isFirst) {
    scrollTo(0, 0);
    $("main").focus({ preventScroll: true });
  }
  showCall();
  await next.open();
}

/** Somebody who looks at the desk while calling sees that, and the way back. */
function showCall() {
  const isElsewhere = calling.phone.state !== "idle" && current !== calling;
  $("on-call").hidden = !isElsewhere;
  if (!isElsewhere) return;
  if (!$("on-call").firstChild) {
    const end = h("button", { type: "button", class: "small stop", click: () => calling.phone.hangUp() }, "Hang up");
    $("on-call").append(h("span", {}, "You are in a call ", h("span", { class: "number" })), h("a", { href: "#/" }, "Back to it"), end);
  }
  tell($("on-call").querySelector(".number"), clock(calling.seconds));
}

feed.addEventListener("state", event => {
  $("line").dataset.state = event.detail;
  tell($("line"), LINES[event.detail]);
});
feed.addEventListener("stranger", () => {
  current?.close();
  current = null;
  forget();
  tell($("line"), "");
  gate($("main"), start, { isWrong: true });
});
addEventListener("hashchange", () => { if (calling && access.token) show(); });
setInterval(() => calling && showCall(), ON_CALL_MS);
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault(); // the address says which view is shown, not where in it we are
  $("main").focus();
});

function start() {
  calling ??= new CallView(feed, { onPhone: showCall });
  current = null;
  feed.open();
  show({ isFirst: true });
}

if (enter()) start();
else gate($("main"), start, {});
