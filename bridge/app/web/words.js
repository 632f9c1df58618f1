// What the bridge and the browser say, in words that somebody understands who only wanted to make a call.

import { Refused } from "./access.js";

/** Why there is no call: a sentence, and what to do about it. */
export function trouble(error) {
  if (error instanceof Refused) return refusal(error);
  switch (error.name) {
    case "NotAllowedError":
      return "The microphone is not allowed. Allow it for this page in the browser's address bar, then call again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found. Plug one in, or choose another one, then call again.";
    case "NotReadableError":
      return "The microphone is in use by another program. Close that, then call again.";
    case "InsecureError":
      return "Browsers give the microphone only to https pages. Start the bridge with “cosybridge serve --lan” and open the address it prints.";
    case "TypeError":
      return "The bridge does not answer. Is it running?";
    default:
      return `The call did not come about: ${error.message}.`;
  }
}

function refusal(error) {
  switch (error.status) {
    case 401: return "The token does not fit. Open the page with the address that the bridge printed when it started.";
    case 403: return `That is not allowed here: ${error.message}.${remedy(error)}`;
    case 404: return "Nobody answers at that number. Choose another one.";
    case 422: return "This browser and the bridge share no way to carry the sound.";
    case 429: return "Too many calls at once from here. Wait a moment, then call again.";
    case 503: return "The bridge is busy and takes no call now. Try again in a few seconds.";
    case 504: return "The bridge took too long to answer. Try again.";
    default: return `The bridge refused: ${error.message}.${remedy(error)}`;
  }
}

/** What the bridge says may be done about it, if it does. */
const remedy = ({ fix }) => (fix ? ` What helps: ${fix}.` : "");

const ENDINGS = {
  "agent failed": "the bot failed",
  "voice failed": "the voice failed",
  "agent finished": "the bot hung up",
  "caller gave up": "the caller gave up",
  "peer closed its media": "the line was closed",
  "no media": "no sound came through",
  "media not secured": "the sound could not be encrypted",
  "bridge stopped": "the bridge was stopped",
};

/** Why a call is over; `caller` is who reads it, if that is the caller. */
export const ending = (reason, caller = "the caller") => (reason === "caller hung up" ? `${caller} hung up` : ENDINGS[reason] ?? reason);

const HINTS = {
  "agent failed": "The bridge's log says why.",
  "voice failed": "Is its service there? tts.url says where it should be, and the bridge's log what it said.",
  "no media": "A firewall may be in the way: let UDP through to the bridge (media.ports), or name a TURN server (webrtc.ice_servers).",
};

/** What a caller may do about it, or have done; empty where there is nothing to do. */
export const hint = reason => HINTS[reason] ?? "";

/** The stages of an interruption (bridge.speech.budget). */
export const STAGES = {
  mute: { title: "Silent", about: "from the caller's first sound to the bot's first silent packet" },
  verdict: { title: "Decided", about: "until it was clear that somebody speaks" },
  flush: { title: "Dropped", about: "the rest of the sentence thrown away" },
  cancel: { title: "Told the voice", about: "the voice service asked to stop" },
  spare_ready: { title: "Ready again", about: "a fresh voice connection at hand" },
  next_audio: { title: "Next words", about: "from the next answer's text to its first sound" },
};

export const CAUSES = { speech: "a voice", dtmf: "a key", command: "an order" };

const LANGUAGES = { en: "English", zh: "Chinese, English", ja: "Japanese", ko: "Korean", id: "Indonesian" };

export const languageTitle = language => LANGUAGES[language] ?? language;
export const voiceTitle = voice => `${voice.name}, ${voice.kind}`;

export function routeTitle(route) {
  const agent = route.agent === "default" ? "The guide" : route.agent.split(":").at(-1).replaceAll("_", " ");
  return route.to === "*" ? agent : `${agent} (${route.to})`;
}

/** Why the bot was silent (docs/api.md, `silence_ms`); `isFault` where it should not have been. */
export const SILENCES = [
  { name: "idle", title: "Nothing to say" },
  { name: "ducked", title: "The caller spoke" },
  { name: "held", title: "On hold" },
  { name: "keys", title: "Pressing keys" },
  { name: "tts_late", title: "The voice was late", isFault: true },
  { name: "bridge_late", title: "The bridge was late", isFault: true },
];

/** A call in a few words: who called whom, as far as that may be known. */
export function callTitle(call) {
  const [from, to] = [call.from, call.to].map(each => (each ?? "").replace(/^sips?:/, "").replace(/^browser:.*/, ""));
  if (call.direction === "outbound" && to) return to;
  const who = from || (call.via === "browser" ? "Browser" : "Phone");
  return to ? `${who} → ${to}` : `${who} ${call.id.slice(0, 6)}`;
}
