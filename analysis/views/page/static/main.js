// The page: requests the state once per second, and receives images by Tiled's websocket.

import { Curves } from "./curves.js";
import { showHeader } from "./header.js";
import { Methods } from "./methods.js";
import { showRuns } from "./runs.js";
import { Refused, ask, key } from "./tiled.js";
import { byId, make } from "./dom.js";

const EVERY_MS = 1000;
const curves = new Curves(byId("course"));
const methods = new Methods(byId("methods"));

/** The run that the link names; without one, the running or last run. */
const chosen = () => new URLSearchParams(location.hash.slice(1)).get("run");

async function update() {
  try {
    const run = chosen();
    const state = await (await ask(run ? `state?run=${encodeURIComponent(run)}` : "state")).json();
    notice(...(state.scan?.doubt ? [state.scan.doubt] : []));
    showHeader(state);
    showRuns(state, run);
    methods.show(state.reconstructions);
    curves.show(state.reconstructions);
  } catch (error) {
    if (error instanceof Refused) refuse();
    else notice(`The server does not answer (${error.message}). What is shown is what was known last.`);
  }
}

function notice(...lines) {
  const shown = lines.join("\n");
  if (byId("notices").dataset.shown === shown) return;
  byId("notices").dataset.shown = shown;
  byId("notices").replaceChildren(...lines.map((textContent) => make("p", { textContent })));
}

function refuse() {
  methods.clear();
  document.body.className = "refused";
  notice(`This link's key ${key() ? "is not valid (any more)" : "is missing"}. \`ghostbeam page\` opens the page with a valid one.`);
}

async function forever() {
  if (!document.hidden) await update();
  if (document.body.className !== "refused") setTimeout(forever, EVERY_MS);
}

document.addEventListener("visibilitychange", () => document.hidden || update());
addEventListener("hashchange", () => (document.body.className === "refused" ? location.reload() : update()));
forever();
