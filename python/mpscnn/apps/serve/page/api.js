// Sends requests to the service that this page came from, and turns its failures into errors.

const TOKEN = "mpscnn.token";

/** The service refused the request. */
export class Refused extends Error {
  constructor(status, kind, message, retryAfter) {
    super(message);
    this.status = status;
    this.kind = kind;
    this.retryAfter = retryAfter; // seconds
  }
}

/** The service did not answer. */
export class Gone extends Error {}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Sends a request, and returns a response with status 200. Throws Refused, Gone, and AbortError. */
export async function ask(path, { body, accept = "application/json", method, signal } = {}) {
  const headers = { Accept: accept };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      body,
      headers,
      signal,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
    });
    if (response.ok) return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Gone("The service does not answer.");
  }
  let said = {};
  try {
    said = await response.json();
  } catch {
    // This is the error page of a proxy, so only the status is known.
  }
  const retry = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  throw new Refused(
    response.status,
    said.error ?? "",
    said.message ?? `the service answered with status ${response.status}`,
    Number.isFinite(retry) ? retry : 1,
  );
}

/** Sends a request, and returns the JSON of its response. */
export async function askJson(path, options) {
  return jsonOf(await ask(path, options));
}

/** Returns the JSON of a response. */
export async function jsonOf(response) {
  try {
    return await response.json();
  } catch {
    throw new Gone("The answer was cut off.");
  }
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Waits until the service answers again. */
export async function untilAlive() {
  for (let wait = 500; ; wait = Math.min(wait * 1.5, 4000)) {
    try {
      await ask("v2/health/live");
      return;
    } catch (error) {
      if (error instanceof Refused) return;
      await pause(wait);
    }
  }
}
