// The story of a call out of its record, where nobody listened while it happened.

import { Story } from "./story.js";

/** `detail` is what the bridge tells of one call; what the caller's voice did is only known by what it interrupted. */
export function recount(detail) {
  const story = new Story();
  const zero = detail.answered_ns ?? detail.started_ns;
  const perSample = 1e9 / detail.rate_hz;
  story.add({ type: "call.answered", at_ns: zero });
  const notes = [];
  detail.utterances.forEach((each, at) => {
    if (each.first_audio_ns == null) return;
    const seconds = Math.max(0, each.end_sample - each.start_sample) / detail.rate_hz;
    notes.push({ type: "speech.started", at_ns: each.first_audio_ns, seq: at });
    if (!each.is_over) return;
    notes.push({
      type: "speech.ended",
      at_ns: each.first_audio_ns + (each.end_sample - each.start_sample) * perSample,
      seq: at, interrupted: each.interrupted, cause: each.cause, error: each.failure || null,
      heard: each.heard, unheard: each.unheard, played_ms: seconds * 1000,
    });
  });
  for (const cut of detail.barge_ins) {
    if (cut.t0 != null) notes.push({ type: "voice.started", at_ns: cut.t0 });
    if (cut.t2 != null && cut.t4 != null && cut.t2 < cut.t4) notes.push({ type: "speech.ducked", at_ns: cut.t2 });
    if (cut.t4 != null) notes.push({ type: "speech.flushed", at_ns: cut.t4, cause: cut.cause });
    if (cut.t0 != null && cut.t4 != null) notes.push({ type: "voice.stopped", at_ns: cut.t4 });
  }
  notes.sort((a, b) => a.at_ns - b.at_ns).forEach(note => story.add(note));
  if (detail.ended_ns != null) story.add({ type: "call.ended", at_ns: detail.ended_ns });
  return story;
}
