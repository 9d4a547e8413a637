// Figures of quality in the course of the scan, each with a curve for every method.

import { make } from "./dom.js";

const COLOURS = ["#4cc2ff", "#ffb454", "#4bd18b", "#d2a8ff", "#ff7b9c", "#e6edf3"];
const FONT = { color: "#8b9bb0", size: 15, family: "system-ui, sans-serif" };
const EVERY_MS = 4000; // between two drawings while a scan runs: they cost more than the images
const WIDE = 30; // largest to smallest value, from which an axis is logarithmic

/** The plots below the images. */
export class Curves {
  constructor(element) {
    this.element = element;
    this.plots = new Map();
    this.drawn = "";
    this.drawnAt = -Infinity;
  }

  show(reconstructions) {
    const Plotly = window.Plotly; // megabytes: the images don't wait for it
    const drawn = JSON.stringify(reconstructions.map(({ uid, estimates }) => [uid, estimates]));
    const ended = reconstructions.every(({ state }) => state !== "running");
    if (!Plotly || drawn === this.drawn || (!ended && performance.now() < this.drawnAt + EVERY_MS)) return;
    this.drawn = drawn;
    this.drawnAt = performance.now();
    const figures = new Map(reconstructions.flatMap((one) =>
      one.figures.filter(({ name }) => name in one.course).map((figure) => [figure.name, figure])));
    for (const [name, plot] of this.plots) {
      if (!figures.has(name)) {
        Plotly.purge(plot);
        plot.remove();
        this.plots.delete(name);
      }
    }
    for (const name of figures.keys()) {
      if (this.plots.has(name)) continue;
      this.plots.set(name, make("div", { className: "plot" }));
      this.plots.get(name).dataset.figure = name;
      this.element.append(this.plots.get(name));
    }
    // Each is as wide as there is room for all of them.
    for (const [name, figure] of figures) {
      Plotly.react(this.plots.get(name), traces(reconstructions, name), layout(reconstructions, figure),
        { displayModeBar: false, responsive: true });
    }
  }
}

function traces(reconstructions, name) {
  return reconstructions.filter(({ course }) => name in course).map(({ method, course }, place) => ({
    name: method,
    x: course.used,
    y: course[name],
    mode: course.used.length > 1 ? "lines" : "markers",
    line: { color: COLOURS[place % COLOURS.length], width: 3 },
    hovertemplate: "%{y:.3g}<extra>%{fullData.name}</extra>",
  }));
}

function layout(reconstructions, { name, meaning, units, lower_is_better: lower }) {
  const values = reconstructions.flatMap(({ course }) => course[name] ?? []).filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const grid = { gridcolor: "#243040", zerolinecolor: "#243040", tickfont: FONT, automargin: true };
  return {
    title: { text: `${plain(meaning)}${units ? ` (${plain(units)})` : ""}, ${lower ? "lower" : "higher"} is better`, font: FONT, x: 0.01, xanchor: "left" },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: FONT,
    height: 230,
    margin: { l: 50, r: 10, t: 34, b: 40 },
    xaxis: { ...grid, title: { text: plain(reconstructions[0]?.rows ?? ""), font: FONT } },
    yaxis: lower && low > 0 && high > WIDE * low ? { ...grid, type: "log", dtick: 1 } : { ...grid, rangemode: "tozero" },
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.15 },
    hovermode: "x",
  };
}

/** Plotly takes some HTML in its texts; from a document comes text. */
function plain(text) {
  return String(text).replace(/[<>&]/g, (character) => ({ "<": "‹", ">": "›", "&": "+" })[character]);
}
