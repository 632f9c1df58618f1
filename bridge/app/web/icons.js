// The few signs that buttons carry, drawn with strokes. They say nothing that the button's words do not.

import { svg } from "./dom.js";

const SIGNS = {
  phone: ["M5 4h4l1.6 4.8-2.4 1.7a12 12 0 0 0 5.3 5.3l1.7-2.4L20 15v4a1 1 0 0 1-1 1A15 15 0 0 1 4 5a1 1 0 0 1 1-1z"],
  microphone: ["M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3z", "M5.5 11a6.5 6.5 0 0 0 13 0", "M12 17.5V21"],
  keys: [6, 12, 18].flatMap(y => [6, 12, 18].map(x => `M${x} ${y}h.01`)),
  arrow: ["M19 12H5", "m11 6-6 6 6 6"],
  inbound: ["M18 6 7 17", "M7 9v8h8"],
  outbound: ["M6 18 17 7", "M9 7h8v8"],
  save: ["M12 4v11", "m7.5 10.5 4.5 4.5 4.5-4.5", "M5 20h14"],
  send: ["M5 12h13", "m13 6 6 6-6 6"],
};

export function icon(name) {
  const lines = SIGNS[name].map(d => svg("path", { d }));
  return svg("svg", { class: `icon ${name}`, viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", focusable: "false" }, ...lines);
}
