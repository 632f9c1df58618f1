// Who answers, how the bot sounds, and which microphone is taken.

import { ask } from "./access.js";
import { h } from "./dom.js";
import { microphones } from "./phone.js";
import { languageTitle, routeTitle, voiceTitle } from "./words.js";

const OTHER = "other";

export class ChoiceFields {
  #choices = null;

  constructor({ onMicrophone }) {
    this.who = h("select", { id: "who", change: () => this.#chosen() });
    this.number = h("input", { id: "number", type: "text", maxlength: 64, autocomplete: "off", spellcheck: "false" });
    this.numberField = h("div", { class: "field before", hidden: true }, h("label", { for: "number" }, "Number"), this.number);
    this.model = h("select", { id: "model", change: () => this.#listVoices() });
    this.voice = h("select", { id: "voice" });
    this.microphone = h("select", { id: "microphone", change: () => onMicrophone(this.microphone.value) });
    // In a call it is too late for the first three; there they would only be in the way.
    const field = (select, title) => h("div", { class: select === this.microphone ? "field" : "field before" }, h("label", { for: select.id }, title), select);
    this.element = h("div", { class: "choices" }, field(this.who, "Who answers"), this.numberField,
      field(this.model, "Model"), field(this.voice, "Voice"), field(this.microphone, "Microphone"));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.findMicrophones());
  }

  /** Ask the bridge what there is; once is enough. */
  async load() {
    await this.findMicrophones();
    if (this.#choices) return;
    this.#choices = await ask("/api/choices");
    const options = this.#choices.routes.map((route, at) => new Option(routeTitle(route), at));
    this.who.replaceChildren(...options, new Option("Another number …", OTHER));
    this.#chosen();
  }

  async findMicrophones() {
    const chosen = this.microphone.value;
    const found = await microphones();
    this.microphone.replaceChildren(...(found.length ? found : [{ id: "", title: "The usual one" }]).map(each => new Option(each.title, each.id)));
    if (found.some(each => each.id === chosen)) this.microphone.value = chosen;
  }

  /** What to call, for `Phone.call`. */
  wishes() {
    const microphone = this.microphone.value;
    const to = this.numberField.hidden ? (this.#route?.number ?? this.#choices?.to ?? "hello") : this.number.value.trim() || this.#choices.to;
    return { to, model: this.model.value, voice: this.voice.value, microphone };
  }

  get #route() {
    return this.#choices?.routes[this.who.value] ?? null;
  }

  #chosen() {
    const route = this.#route;
    this.numberField.hidden = route?.number != null;
    this.number.placeholder = route ? `fits ${route.to}` : this.#choices.to;
    const usual = route ? `As usual (${route.model})` : "As usual";
    this.model.replaceChildren(new Option(usual, ""), ...this.#choices.models.map(model => new Option(model.name, model.name)));
    this.#listVoices();
  }

  /** A model speaks with its own voices alone, so another one needs one of them. */
  #listVoices() {
    const route = this.#route, name = this.model.value || route?.model;
    const model = this.#choices.models.find(each => each.name === name);
    const groups = new Map();
    for (const voice of model?.voices ?? []) {
      if (!groups.has(voice.language)) groups.set(voice.language, []);
      groups.get(voice.language).push(new Option(voiceTitle(voice), voice.name));
    }
    const lists = [...groups].sort(([a], [b]) => (b === "en") - (a === "en") || a.localeCompare(b))
      .map(([language, options]) => h("optgroup", { label: languageTitle(language) }, ...options));
    const usual = this.model.value && this.model.value !== route?.model ? [] : [new Option(route ? `As usual (${route.voice})` : "As usual", "")];
    this.voice.replaceChildren(...usual, ...lists);
    this.voice.selectedIndex = 0;
  }
}
