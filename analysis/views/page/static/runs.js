// The last runs; a click shows one.

import { byId, make } from "./dom.js";
import { statusOf } from "./header.js";

/** Show the list. `chosen` is the run that the link names. */
export function showRuns({ runs, scan }, chosen) {
  byId("runs").replaceChildren(...runs.map((run) => item(run, scan?.uid === run.uid)),
    ...(chosen ? [make("li", {}, link("follow the newest run", null))] : []));
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
