// Elements in one expression, and numbers as people read them.

export const $ = id => document.getElementById(id);

/** An element; attributes that are functions listen, `class` and aria names are set as written. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter(child => child != null && child !== false));
  return made;
}

/** Say something once: a live region repeats what is set again, even if it is the same. */
export function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replace what an element holds and keep the focus where it was, by the `data-key` of what had it. */
export function refill(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.replaceChildren(...children.flat().filter(child => child != null && child !== false));
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

export const clock = seconds => {
  const whole = Math.max(0, Math.floor(seconds));
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
};
export const ms = value => value == null ? "–" : value < 9.95 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
export const percent = share => share == null ? "–" : `${(100 * share).toFixed(share && share < 0.1 ? 1 : 0)} %`;
export const score = value => value ? value.toFixed(1) : "–";
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
