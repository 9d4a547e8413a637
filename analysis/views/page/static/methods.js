// The newest image of each method, beside its spread or whatever else its technique declares.

import { make, number } from "./dom.js";
import { Panel } from "./image.js";
import { follow } from "./tiled.js";

/** The cards of all methods of the run that is shown. */
export class Methods {
  constructor(element) {
    this.element = element;
    this.cards = new Map();
  }

  show(scan, reconstructions) {
    const wanted = new Set(reconstructions.map(({ uid }) => uid));
    for (const [uid, card] of this.cards) {
      if (!wanted.has(uid)) {
        card.end();
        this.cards.delete(uid);
      }
    }
    for (const told of reconstructions) {
      if (!this.cards.has(told.uid)) {
        const card = new Card(told);
        this.cards.set(told.uid, card);
        this.element.append(card.element);
      }
      this.cards.get(told.uid).show(told);
    }
  }

  clear() {
    this.show(null, []);
  }
}

class Card {
  constructor({ uid, method, purpose }) {
    this.uid = uid;
    this.panels = [];
    this.endings = [];
    this.mark = make("span", { className: "mark" });
    this.count = make("span", { className: "count" });
    this.images = make("div", { className: "images" });
    this.figures = make("dl", { className: "figures" });
    this.remarks = make("div", { className: "remarks" });
    this.element = make("article", {},
      make("h2", {}, make("span", { textContent: purpose === "replay" ? `${method} (replay)` : method }), this.mark, this.count),
      this.images, this.figures, this.remarks);
  }

  show(told) {
    const [word, className] = stateOf(told);
    this.mark.textContent = word;
    this.mark.className = `mark ${className}`;
    this.count.textContent = told.used === null ? "" : `${told.used}${told.expected > 0 ? ` / ${told.expected}` : ""} ${told.rows ?? ""}`;
    this.figures.replaceChildren(...told.figures.flatMap(({ meaning, units, value }) => [
      make("dt", { textContent: units ? `${meaning} (${units})` : meaning }), make("dd", { textContent: number(value) })]));
    this.remarks.replaceChildren(...[told.reason, ...told.remarks].filter(Boolean).map((textContent) => make("p", { textContent })));
    if (!this.panels.length && told.arrays.length) this.open(told);
  }

  open({ arrays, pixel_size_um: pixelSize }) {
    this.panels = arrays.map((array, place) => new Panel(array, pixelSize, place ? "heat" : "gray"));
    this.images.append(...this.panels.map(({ element }) => element));
    this.endings = this.panels.map((panel, place) =>
      follow(`processed/${this.uid}/primary/${arrays[place].name}`, (entry) => panel.show(entry)));
  }

  end() {
    this.endings.forEach((ending) => ending());
    this.element.remove();
  }
}

function stateOf({ state, final }) {
  if (state === "failed") return ["failed", "failed"];
  return final ? ["final", "done"] : ["live", "running"];
}
