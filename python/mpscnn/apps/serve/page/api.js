// Requests to the service that this page came from, and what its failures mean.

const TOKEN = "mpscnn.token";

/** An answer that is not what was asked for. */
export class Refused extends Error {
  constructor(status, kind, message, retryAfter) {
    super(message);
    this.status = status;
    this.kind = kind;
    this.retryAfter = retryAfter; // seconds
  }
}

/** Nobody answered. */
export class Gone extends Error {}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** A response with status 200. Throws Refused, Gone, and AbortError. */
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
    // A proxy's page: the status has to do.
  }
  const retry = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  throw new Refused(
    response.status,
    said.error ?? "",
    said.message ?? `the service answered with status ${response.status}`,
    Number.isFinite(retry) ? retry : 1,
  );
}

/** JSON of an answer. */
export async function askJson(path, options) {
  return jsonOf(await ask(path, options));
}

/** A response's JSON. */
export async function jsonOf(response) {
  try {
    return await response.json();
  } catch {
    throw new Gone("The answer was cut off.");
  }
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Until the service lives again. */
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
