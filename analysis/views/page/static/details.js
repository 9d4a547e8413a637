// Everything that Tiled knows of a run: parameters, options, ledger, versions, and whether it was verified.

import { make } from "./dom.js";
import { ask } from "./tiled.js";

const SHOWN = 12; // entries of a list

/** What Tiled stores about a run besides its data. */
export async function metadata(path) {
  return (await (await ask(`/api/v1/metadata/${path}`)).json()).data.attributes.metadata;
}

/** A collapsible element that shows a run's metadata. */
export function details(title, path) {
  const content = make("div", { className: "tree" });
  const element = make("details", {}, make("summary", { textContent: title }), content);
  element.ontoggle = async () => {
    if (!element.open) return;
    try {
      content.replaceChildren(tree(await metadata(path)));
    } catch {
      content.replaceChildren("not in Tiled yet");
    }
  };
  return element;
}

function tree(value) {
  if (Array.isArray(value)) {
    const texts = value.slice(0, SHOWN).map((one) => (isSimple(one) ? String(one) : JSON.stringify(one)));
    return document.createTextNode(texts.join(", ") + (value.length > SHOWN ? `, … (${value.length} in all)` : ""));
  }
  if (isSimple(value)) return document.createTextNode(String(value ?? "–"));
  return make("dl", {}, ...Object.entries(value).flatMap(([key, one]) =>
    [make("dt", { textContent: key }), make("dd", {}, tree(one))]));
}

function isSimple(value) {
  return value === null || typeof value !== "object";
}
