// What a person must know now: a line for each topic, and whether the service is there.

const lines = new Map();
const STATES = { here: "connected", gone: "not connected" };
const element = (id) => document.getElementById(id);

/** Replaces the line of a topic; without a text it goes. */
export function notice(topic, text) {
  const line = lines.get(topic);
  if (line && line.textContent === text) return;
  if (!text) {
    line?.remove();
    lines.delete(topic);
    return;
  }
  if (line) {
    line.textContent = text;
    return;
  }
  const made = document.createElement("p");
  made.dataset.topic = topic;
  made.textContent = text;
  lines.set(topic, made);
  element("notices").append(made);
}

/** "here" or "gone". */
export function serverState(state) {
  const shown = element("state");
  shown.dataset.state = state;
  if (shown.textContent !== STATES[state]) shown.textContent = STATES[state];
}

let asked = null;

/** Resolves with what the person gives; asks once at a time. */
export function askForToken() {
  asked ??= new Promise((done) => {
    const dialog = element("ask-token");
    dialog.oncancel = (event) => event.preventDefault();
    element("token-form").onsubmit = (event) => {
      event.preventDefault();
      dialog.close();
      asked = null;
      done(element("token").value);
    };
    element("token").value = "";
    dialog.showModal();
  });
  return asked;
}
