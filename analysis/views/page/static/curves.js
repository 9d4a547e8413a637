// Figures of quality during the scan, each with one curve per method.

import { make } from "./dom.js";

const COLOURS = ["#4cc2ff", "#ffb454", "#4bd18b", "#d2a8ff", "#ff7b9c", "#e6edf3"];
const FONT = { color: "#8b9bb0", size: 15, family: "system-ui, sans-serif" };
const EVERY_MS = 1900; // between two plots: they cost more than the images
const WIDE = 30; // ratio of largest to smallest value from which an axis is logarithmic

/** The plots below the images. */
export class Curves {
  constructor(element) {
    this.element = element;
    this.plots = new Map();
    this.drawnAt = -Infinity;
  }

  /** Draw the plot with new data that has waited longest: drawing all at once would delay the images. */
  show(reconstructions) {
    const Plotly = window.Plotly; // several megabytes: the images do not wait for it
    if (!Plotly || performance.now() < this.drawnAt + EVERY_MS) return;
    const figures = new Map(reconstructions.flatMap((one) =>
      one.figures.filter(({ name }) => name in one.course).map((figure) => [figure.name, figure])));
    for (const [name, { element }] of this.plots) {
      if (!figures.has(name)) {
        Plotly.purge(element);
        element.remove();
        this.plots.delete(name);
      }
    }
    for (const name of figures.keys()) {
      if (this.plots.has(name)) continue;
      const element = make("div", { className: "plot" });
      element.dataset.figure = name;
      this.plots.set(name, { element, drawnAt: -Infinity });
      this.element.append(element);
    }
    const estimates = JSON.stringify(reconstructions.map(({ uid, estimates: count }) => [uid, count]));
    const [name, plot] = [...this.plots].filter(([, { drawn }]) => drawn !== estimates)
      .sort(([, one], [, other]) => one.drawnAt - other.drawnAt)[0] ?? [];
    if (!plot) return;
    plot.drawn = estimates;
    plot.drawnAt = this.drawnAt = performance.now();
    Plotly.react(plot.element, traces(reconstructions, name), layout(reconstructions, figures.get(name)),
      { displayModeBar: false, responsive: true });
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

/** Plotly interprets some HTML in its texts; text from a document must remain text. */
function plain(text) {
  return String(text).replace(/[<>&]/g, (character) => ({ "<": "‹", ">": "›", "&": "+" })[character]);
}
