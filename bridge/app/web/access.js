// The token, and everything that is asked with it. After load it is in this tab's memory alone, not in the address.

const KEPT = "cosybridge token";

export const access = { token: "" };

/** Take the token out of the address; returns whether there is one at all. */
export function enter() {
  const query = new URLSearchParams(location.search);
  access.token = query.get("token") ?? sessionStorage.getItem(KEPT) ?? "";
  if (query.has("token")) {
    remember(access.token);
    query.delete("token");
    const rest = query.toString() && `?${query}`;
    history.replaceState(history.state, "", location.pathname + rest + location.hash);
  }
  return access.token !== "";
}

export function remember(token) {
  access.token = token;
  sessionStorage.setItem(KEPT, token);
}

export function forget() {
  access.token = "";
  sessionStorage.removeItem(KEPT);
}

/** What the bridge refused, in its own words: `status` and `fix` beside the message. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `the bridge answered with ${status}`);
    this.status = status;
    this.fix = problem.fix ?? "";
  }
}

export async function send(path, options = {}) {
  const headers = { Authorization: `Bearer ${access.token}`, ...options.headers };
  const answer = await fetch(path, { ...options, headers });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export const ask = async path => (await send(path)).json();

export const order = (path, body) =>
  send(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** A WebSocket of the bridge; a browser lets it carry the token in no header. */
export function listen(path, query = {}) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const rest = new URLSearchParams({ ...query, token: access.token });
  return new WebSocket(`${scheme}://${location.host}${path}?${rest}`);
}
