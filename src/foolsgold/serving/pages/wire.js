// Talking to the server: JSON in, JSON out, and two kinds of trouble.

export class Refused extends Error { // the server said no
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export class Offline extends Error {} // nobody knows whether it arrived

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    throw new Offline(String(error));
  }
  if (answer.status >= 500) throw new Offline(`the server answers ${answer.status}`);
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, body?.error ?? `the server answers ${answer.status}`);
  return body;
}

export const get = (path) => ask(path, {});

// keepalive: an answer given just before the page is closed still arrives.
export const post = (path, body = {}) =>
  ask(path, { method: "POST", keepalive: true, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

// The token of a personal link stands behind #, which browsers send to nobody; it leaves the address bar at once.
export function tokenFromAddress() {
  const token = decodeURIComponent(location.hash.slice(1));
  if (token) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
