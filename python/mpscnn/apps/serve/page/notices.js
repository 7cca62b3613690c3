// Shows notices, one line for each topic, and whether the service answers.

const lines = new Map();
const STATES = { here: "connected", gone: "not connected" };
const element = (id) => document.getElementById(id);

/** Replaces the line of a topic, or removes it if there is no text. */
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

/** Shows the state of the service: "here" or "gone". */
export function serverState(state) {
  const shown = element("state");
  shown.dataset.state = state;
  if (shown.textContent !== STATES[state]) shown.textContent = STATES[state];
}

let asked = null;

/** Asks the user for a token, and resolves with it. Only one question is open at a time. */
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
