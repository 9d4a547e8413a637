// The present measurement, its progress, and the state of the services.

import { details } from "./details.js";
import { wholeRun } from "./downloads.js";
import { byId, make, number, span, write } from "./dom.js";

const STILL_S = 10; // without a new row

/** Show the scan and the services. */
export function showHeader({ scan, health }) {
  const services = health.map(({ name, state, well, says }) =>
    make("span", { className: well ? "well" : "ill", textContent: says ? `${name} ${state}: ${says}` : `${name} ${state}` }));
  const told = JSON.stringify(health);
  if (byId("services").dataset.shown !== told) byId("services").replaceChildren(...services);
  byId("services").dataset.shown = told;
  if (!scan) {
    write("status", "no scan yet");
    return;
  }
  const [word, className] = statusOf(scan);
  write("status", word);
  byId("status").className = `status ${className}`;
  write("sample", scan.sample ?? "no sample named");
  const began = new Date(1000 * scan.time).toLocaleString();
  write("plan", [scan.scan_id && `scan ${scan.scan_id}`, scan.plan, began, scan.uid.slice(0, 8)].filter(Boolean).join(" · "));
  write("rows", String(scan.rows));
  write("expected", scan.expected ? ` / ${scan.expected}` : "");
  write("rate", scan.rate_hz ? `${number(scan.rate_hz)} /s` : "");
  write("left", scan.left_s !== null ? `${span(scan.left_s)} left` : scan.ended ? `took ${span(scan.ended - scan.time)}` : "");
  byId("done").style.width = `${scan.expected ? Math.min(100, (100 * scan.rows) / scan.expected) : 0}%`;
  const now = scan.session?.conditions ?? [];
  byId("now").hidden = !now.length;
  list("now-conditions", now);
  list("conditions", scan.conditions);
  if (byId("parameters").dataset.run !== scan.uid) {
    byId("parameters").dataset.run = scan.uid;
    byId("parameters").replaceChildren(details("all of the run", `raw/${scan.uid}`), wholeRun(scan));
  }
}

/** Show conditions only if they have changed. */
function list(id, conditions) {
  const element = byId(id);
  const shown = JSON.stringify(conditions);
  if (element.dataset.shown === shown) return;
  element.dataset.shown = shown;
  element.replaceChildren(...conditions.flatMap(({ name, value, units }) => [
    make("dt", { textContent: name }),
    make("dd", { textContent: `${typeof value === "number" ? number(value) : value} ${units ?? ""}` })]));
}

/** A word for the state of a scan, and its CSS class. */
export function statusOf({ exit_status: status, since_last_row_s: still, session }) {
  if (status === "success") return ["done", "done"];
  if (status) return [status === "abort" ? "aborted" : "failed", "failed"];
  if (session?.state === "gone") return ["session has ended", "failed"];
  if (session?.state === "paused") return ["paused", "waiting"];
  if (session?.waiting.length) return [session.waiting[0], "waiting"];
  if (still > STILL_S) return [`no data for ${span(still)}`, "waiting"];
  return ["scanning", "running"];
}
