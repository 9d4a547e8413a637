// Downloads of the displayed data. Tiled makes the files from its data; the picture is drawn here.

import { make } from "./dom.js";
import { picture } from "./picture.js";
import { ask } from "./tiled.js";

/** Buttons for the newest estimate of a reconstruction. `panels` show its arrays. */
export function downloads({ uid, method, scan_id: scan, arrays }, panels) {
  const stream = `processed/${uid}/primary`;
  const name = ["scan", scan, method, uid.slice(0, 8)].filter((part) => part ?? false).join("_").replace(/[^\w-]/g, "_");
  const newest = () => Number(panels[0].canvas.dataset.count) - 1;
  const [{ name: array }] = arrays;
  const kinds = {
    TIFF: [`${name}_${array}.tiff`, () => ask(`/api/v1/array/full/${stream}/${array}?slice=${newest()}&format=image/tiff`)],
    HDF5: [`${name}.h5`, () => ask(`estimate?run=${uid}`)],
    CSV: [`${name}.csv`, () => ask(`/api/v1/table/full/${stream}/internal?format=text/csv`)],
    picture: [`${name}.png`, () => picture(method, panels)],
  };
  const titles = {
    TIFF: "the newest image, every bit of it",
    HDF5: "the newest estimate: all arrays and figures, and how they were made",
    CSV: "the figures of all estimates",
    picture: "what is shown, as PNG",
  };
  return make("p", { className: "downloads" }, ...Object.entries(kinds).map(([kind, [file, get]]) =>
    make("button", { textContent: kind, title: titles[kind], onclick: (event) => save(event.target, file, get) })));
}

/** A button to download a run and its reconstructions in one file. */
export function wholeRun({ uid, scan_id: scan }) {
  const file = ["scan", scan, uid.slice(0, 8)].filter((part) => part ?? false).join("_") + ".h5";
  return make("p", { className: "downloads" }, make("button", {
    textContent: "run as HDF5",
    title: "the run and its reconstructions in NeXus layout",
    onclick: (event) => save(event.target, file, () => ask(`export?run=${uid}`)),
  }));
}

async function save(button, file, get) {
  button.disabled = true;
  try {
    const address = URL.createObjectURL(await (await get()).blob());
    make("a", { href: address, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  } catch (error) {
    button.title = `not to be had: ${error.message}`;
    button.classList.add("failed");
  }
  button.disabled = false;
}
