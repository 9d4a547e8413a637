// The last runs, and older ones on request; a click shows one.

import { byId, make } from "./dom.js";
import { statusOf } from "./header.js";
import { ask } from "./tiled.js";

let older = []; // older runs requested so far, newest first
let drawn = "";

/** Show the list. `chosen` is the run that the link names. */
export function showRuns({ runs, scan }, chosen) {
  const listed = new Set(runs.map(({ uid }) => uid));
  const all = [...runs, ...older.filter(({ uid }) => !listed.has(uid))];
  const shown = JSON.stringify([all, scan?.uid, chosen]);
  if (shown === drawn) return;
  drawn = shown;
  byId("runs").replaceChildren(...all.map((run) => item(run, scan?.uid === run.uid)),
    ...(chosen ? [make("li", {}, link("follow the newest run", null))] : []));
  const button = byId("older");
  if (button.dataset.end !== "true") button.hidden = !all.length;
  button.onclick = () => more(all.at(-1).uid).then(() => showRuns({ runs, scan }, chosen)).catch(() => {});
}

async function more(before) {
  const found = await (await ask(`runs?before=${encodeURIComponent(before)}`)).json();
  older = [...older, ...found];
  if (found.length) return;
  byId("older").dataset.end = "true";
  byId("older").hidden = true;
}

function item(run, shown) {
  const [word, className] = statusOf(run);
  return make("li", { className: shown ? "shown" : "" },
    make("span", { className: `dot ${className}`, title: word }),
    link(`${run.scan_id ?? ""} ${run.sample ?? run.plan ?? ""}`, run.uid),
    make("span", { textContent: new Date(1000 * run.time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) }),
    make("small", { textContent: [word, ...new Set(run.methods.map((one) => one.method))].join(", ") }));
}

function link(textContent, uid) {
  const address = new URLSearchParams(location.hash.slice(1));
  if (uid) address.set("run", uid);
  else address.delete("run");
  return make("a", { textContent, href: `#${address}` });
}
