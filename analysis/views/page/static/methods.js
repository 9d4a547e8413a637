// The newest image of each method, beside its spread or other arrays that its technique declares.

import { details, metadata } from "./details.js";
import { make, number } from "./dom.js";
import { downloads } from "./downloads.js";
import { Panel } from "./image.js";
import { follow, newest } from "./tiled.js";

const VERIFIED_MS = 3000; // between requests whether a reconstruction was verified

/** The cards of all methods of the displayed run. */
export class Methods {
  constructor(element) {
    this.element = element;
    this.cards = new Map();
  }

  show(reconstructions) {
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
    this.show([]);
  }
}

class Card {
  constructor({ uid, method, purpose }) {
    this.uid = uid;
    this.panels = [];
    this.endings = [];
    this.askAgain = 0;
    this.looking = this.lookAgain = false;
    this.mark = make("span", { className: "mark" });
    this.count = make("span", { className: "count" });
    this.images = make("div", { className: "images" });
    this.figures = make("dl", { className: "figures" });
    this.remarks = make("div", { className: "remarks" });
    this.verified = make("span", { className: "mark", hidden: true });
    this.foot = make("div", { className: "foot" });
    this.element = make("article", {},
      make("h2", {}, make("span", { textContent: purpose === "replay" ? `${method} (replay)` : method }), this.mark, this.verified, this.count),
      this.images, this.remarks, this.figures, this.foot);
    this.element.dataset.run = uid;
  }

  show(told) {
    if (told.state !== "running" && this.verified.hidden && Date.now() > this.askAgain) this.verify();
    const shown = JSON.stringify(told);
    if (shown === this.shown) return;
    this.shown = shown;
    const [word, className] = stateOf(told);
    this.mark.textContent = word;
    this.mark.className = `mark ${className}`;
    this.count.textContent = told.used === null ? "" : `${told.used}${told.expected > 0 ? ` / ${told.expected}` : ""} ${told.rows ?? ""}`;
    this.figures.replaceChildren(...told.figures.map(({ meaning, units, value }) => make("div", {},
      make("dt", { textContent: units ? `${meaning} (${units})` : meaning }), make("dd", { textContent: number(value) }))));
    this.remarks.replaceChildren(...[told.reason, ...told.remarks].filter(Boolean).map((textContent) => make("p", { textContent })));
    if (!this.panels.length && told.arrays.length) this.open(told);
  }

  /** Mark it as verified once the archiver has read it back from Tiled and compared it with the log. */
  async verify() {
    this.askAgain = Date.now() + VERIFIED_MS;
    const { verified_against_log: verified, not_as_logged: lost } = await metadata(`processed/${this.uid}`).catch(() => ({}));
    if (verified === undefined) return;
    this.verified.hidden = false;
    this.verified.textContent = verified ? "verified" : "not as logged";
    this.verified.className = verified ? "mark done" : "mark failed";
    this.verified.title = verified ? "Tiled holds it as it was logged, to the last bit" : JSON.stringify(lost);
  }

  open(told) {
    const { arrays, pixel_size_um: pixelSize } = told;
    this.panels = arrays.map((array, place) => new Panel(array, pixelSize, place ? "heat" : "gray"));
    this.images.append(...this.panels.map(({ element }) => element));
    this.look();
    const panels = new Map(this.panels.map((panel, place) => [arrays[place].name, panel]));
    for (const [name, panel] of panels) {
      this.endings.push(follow(`processed/${this.uid}/primary/${name}`, (entry) => panel.show(entry), () => this.look()));
    }
    this.foot.append(downloads(told, this.panels), details("all of it", `processed/${this.uid}`));
  }

  /** Show the newest estimate. All arrays come together: calls during a request, one from each array, make one more. */
  async look() {
    this.lookAgain = this.looking;
    if (this.looking) return;
    this.looking = true;
    const entries = new Map(await newest(this.uid).catch(() => [])); // the next one arrives by the websocket
    for (const panel of this.panels) {
      const entry = entries.get(panel.element.dataset.array);
      if (entry) panel.show(entry);
    }
    this.looking = false;
    if (this.lookAgain) this.look();
  }

  end() {
    this.endings.forEach((ending) => ending());
    this.element.remove();
  }
}

function stateOf({ state, final, useless }) {
  if (state === "failed") return ["failed", "failed"];
  if (useless) return [`${final ? "final" : "live"}, no better than flat`, "waiting"];
  return final ? ["final", "done"] : ["live", "running"];
}
