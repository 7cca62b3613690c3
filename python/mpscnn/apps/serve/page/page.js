// The page: takes pictures from their sources, and shows their results. Pictures go from this browser to the service only.

import { Gone, Refused, ask, keepToken, pause, untilAlive } from "./api.js";
import { askForToken, notice, serverState } from "./notices.js";
import { Camera } from "./camera.js";
import { Live } from "./live.js";
import { infer } from "./inference.js";
import { Photos } from "./photos.js";
import { Profile } from "./profile.js";
import { Results } from "./results.js";
import { Settings } from "./settings.js";
import { save } from "./save.js";
import { Stage } from "./stage.js";

const MAX_TRIES = 3;
const element = (id) => document.getElementById(id);
const here = /^(localhost|\[::1\]|127\..*)$/.test(location.hostname);
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

const stage = new Stage();
const results = new Results();
let source = null; // "photos", "video" or "camera"
let generation = 0; // counts changes of the model, its options and the source

const settings = new Settings({ changed, notice, guarded });
const profile = new Profile({ model: () => settings.model, guarded });
const photos = new Photos({ infer: inferPhoto, shown: showPhoto });
const live = new Live(stage.video, { infer: inferFrame, model: () => settings.model, rates: showRates, near: here });
const camera = new Camera(stage.video, { notice, ended: () => close("The camera has gone.") });

let returning = null;
let answered = -Infinity;

/** Waits until the service answers again, and reads which models it has. */
function reconnect() {
  returning ??= (async () => {
    serverState("gone");
    notice("server", "The service does not answer. Trying again …");
    for (;;) {
      await untilAlive();
      try {
        await load();
        break;
      } catch (error) {
        if (!(error instanceof Gone)) notice("model", error.message);
        await pause(1000);
      }
    }
    returning = null;
  })();
  return returning;
}

/** Sends a request. Repeats it if the service was busy or has restarted, or wants a token. */
async function guarded(request) {
  for (let tries = 1; ; tries++) {
    try {
      const answer = await request();
      answered = performance.now();
      notice("server", "");
      notice("busy", "");
      return answer;
    } catch (error) {
      if (error instanceof Gone && tries < MAX_TRIES) await reconnect();
      else if (error instanceof Refused && error.kind === "UnknownModel" && tries < MAX_TRIES) await load();
      else if (error instanceof Refused && error.status === 401) keepToken(await askForToken());
      else if (error instanceof Refused && error.status === 503) {
        notice("busy", "The service is busy. This page waits for its turn.");
        await pause(1000 * Math.min(error.retryAfter, 10));
      } else throw error;
    }
  }
}

async function load() {
  await settings.load();
  serverState("here");
  notice("server", "");
}

/** Returns the results of the model, or null if another model or source was chosen meanwhile. */
async function inferPhoto(file) {
  const asked = generation;
  if (!settings.model) await guarded(load);
  if (!settings.model) throw new Error("the service has no model for it");
  const current = () => asked === generation;
  const found = await guarded(() => (current() ? infer(settings.model, file, { score: settings.minScore }) : null));
  if (!found || !current()) return null;
  if (found.options) await guarded(() => settings.follow(found.options));
  return current() ? found : null;
}

async function inferFrame(file) {
  const asked = generation;
  try {
    const found = await inferPhoto(file);
    if (found && live.running) {
      notice("frame", "");
      stage.put(found);
      results.show(found);
    }
    return found;
  } catch (error) {
    if (asked === generation) {
      notice("frame", `Not computed: ${error.message}`);
      await pause(1000);
    }
    return null;
  }
}

function changed() {
  generation += 1;
  profile.forget();
  if (source === "photos") photos.again();
  else if (source) {
    stage.clear();
    live.start();
    live.again();
  }
}

function showPhoto(photo) {
  if (stage.photo.getAttribute("src") !== photo.url) {
    stage.open(photo.url, photo.file.name);
  }
  stage.photo.alt = photo.found ? `${photo.file.name}: ${photo.found.entries[0]?.label ?? "nothing found"}` : photo.file.name;
  const unseen = photo.found && photo.unseen ? `The service reads ${photo.file.name}, which this browser cannot show.` : "";
  const why = photo.error?.replace(/^image bytes: /, "it ");
  notice("photo", why ? `${photo.file.name} is not read: ${why}` : unseen);
  if (photo.found) {
    stage.put(photo.found);
    results.show(photo.found);
    showRates({ rate: null, latency: photo.found.roundTrip, computing: photo.found.milliseconds, dropped: null });
  } else results.say(photo.error ? "No results." : "Computing …");
}

const figure = (value, digits, unit) => (value === null || value === undefined ? "–" : `${value.toFixed(digits)}${unit}`);

function showRates({ rate, latency, computing, dropped, frames }) {
  const rates = element("rates");
  rates.hidden = false;
  element("rate").textContent = figure(rate, 1, "");
  element("latency").textContent = figure(latency, 0, " ms");
  element("computing").textContent = figure(computing, 1, " ms");
  element("dropped").textContent = figure(dropped, 0, "");
  for (const id of ["rate", "dropped"]) element(id).parentElement.hidden = source === "photos";
  element("computing").parentElement.hidden = computing === null;
  rates.dataset.frames = frames ?? "";
}

/** Ends the present source, and clears its picture and results. */
function close(text = "") {
  generation += 1; // results of earlier requests are discarded
  live.stop();
  camera.stop();
  photos.clear();
  const { video } = stage;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
  video.controls = false;
  source = null;
  stage.photo.removeAttribute("src");
  stage.show(null);
  element("rates").hidden = true;
  element("rates").dataset.frames = "";
  pressed(false);
  for (const topic of ["photo", "frame", "camera"]) notice(topic, "");
  if (text) notice("camera", text);
  results.say("Nothing to look at yet.");
}

function pressed(on) {
  element("camera").setAttribute("aria-pressed", String(on));
  element("camera").querySelector("span").textContent = on ? "Stop camera" : "Camera";
}

async function openCamera(which) {
  close();
  if (!(await camera.start(which))) return;
  source = "camera";
  stage.show("video");
  pressed(true);
  results.say("Computing …");
  live.start();
}

function openVideo(file) {
  close();
  source = "video";
  const { video } = stage;
  video.src = URL.createObjectURL(file);
  video.controls = true;
  video.loop = !still.matches;
  const refuse = (why) => {
    if (source !== "video") return;
    close();
    notice("photo", `${file.name} is not read: ${why}.`);
  };
  video.onerror = () => refuse("this browser cannot play it");
  video.onloadedmetadata = () => video.videoWidth || refuse("it has no picture");
  stage.show("video");
  results.say(still.matches ? "Press play." : "Computing …");
  if (!still.matches) video.play().catch(() => results.say("Press play."));
  live.start();
}

const videoNames = /\.(3gp|avi|m4v|mkv|mov|mp4|mpe?g|ogv|ts|webm|wmv)$/i;

/** True for a video: by its type, or by its name if the system knows no type, as is common for .mkv. */
function isVideo({ type, name }) {
  return type ? type.startsWith("video/") : videoNames.test(name);
}

function open(files) {
  const all = [...files];
  const film = all.find(isVideo);
  const pictures = all.filter((file) => !isVideo(file));
  if (pictures.length) {
    close();
    source = "photos";
    stage.show("photo");
    photos.put(pictures);
    if (film) notice("photo", "Photos and videos at once: only the photos are shown.");
  } else if (film) openVideo(film);
}

element("camera").addEventListener("click", () => (source === "camera" ? close() : openCamera()));
element("cameras").addEventListener("change", (event) => openCamera(event.target.value));
/** Opens a photo of the service: things on a table for a detector, and a cat for other models. */
async function openSample() {
  const name = settings.model?.task === "detection" ? "coffee.jpg" : "cat.jpg";
  try {
    const answer = await guarded(() => ask(name));
    open([new File([await answer.blob()], name, { type: "image/jpeg" })]);
  } catch (error) {
    notice("photo", error.message);
  }
}

element("sample").addEventListener("click", openSample);
element("choose").addEventListener("click", () => element("files").click());
element("save").addEventListener("click", () => {
  const name = source === "photos" ? photos.selected.file.name : source;
  if (stage.source) save(stage.source, stage.found, name);
});
element("files").addEventListener("change", (event) => {
  open(event.target.files);
  event.target.value = "";
});
window.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) open(event.clipboardData.files);
});

let depth = 0; // the number of nested elements that a drag is over
const dragged = (on) => element("stage").classList.toggle("over", on);
const brings = (event) => event.dataTransfer?.types.includes("Files");
window.addEventListener("dragenter", (event) => brings(event) && dragged(++depth > 0));
window.addEventListener("dragleave", (event) => brings(event) && dragged(--depth > 0));
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  dragged(false);
  if (event.dataTransfer.files.length) open(event.dataTransfer.files);
});

element("private").textContent = here
  ? "They never leave this machine."
  : `They go to ${location.hostname}, and nowhere else.`;

guarded(load).catch((error) => notice("model", error.message));

/** Checks whether the service answers, and whether the settings of the model have changed. */
function checkService() {
  if (returning || document.hidden) return;
  guarded(() => (settings.model ? settings.follow() : ask("v2/health/live"))).catch((error) => notice("model", error.message));
}
setInterval(() => performance.now() - answered >= 10_000 && checkService(), 10_000);
document.addEventListener("visibilitychange", checkService);
