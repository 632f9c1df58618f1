// What somebody sees who comes without the token: what it is, where it stands, and a field for it.

import { ask, forget, remember } from "./access.js";
import { h, tell } from "./dom.js";
import { trouble } from "./words.js";

/** Ask for the token, and go on with `onOpen` once the bridge takes it. */
export function gate(main, onOpen, { isWrong = false }) {
  const wrong = h("p", { class: "alarm", role: "alert", hidden: !isWrong }, "The bridge does not know this token any more. It may have been started again.");
  const token = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
  const open = async event => {
    event.preventDefault();
    remember(token.value.trim());
    try {
      await ask("/api/choices");
    } catch (error) {
      forget();
      tell(wrong, error.status === 401 ? "That is not the token of this bridge." : trouble(error));
      wrong.hidden = false;
      token.select();
      return;
    }
    onOpen();
  };
  main.replaceChildren(h("section", { class: "card gate", "aria-labelledby": "gate-title" },
    h("h1", { id: "gate-title" }, "This bridge asks for its token"),
    h("p", { class: "soft" }, "The address that the bridge prints when it starts carries it, after “token=”. Whoever runs the bridge may have chosen it (http.token)."),
    h("form", { submit: open }, h("div", { class: "field" }, h("label", { for: "token" }, "Token"), token), wrong,
      h("button", { class: "go big" }, "Open"))));
  document.title = "Token needed · cosybridge";
}
