// An image with its colour bar and its scale bar.

import { make, number } from "./dom.js";

const NO_VALUE = [38, 52, 66]; // such as cells of a map without a frame
const COLOURS = {
  gray: (part) => [255 * part, 255 * part, 255 * part],
  // For errors and further maps: from black through red to white, one channel rising after the other.
  heat: (part) => [765 * part, 765 * part - 255, 765 * part - 510],
};
const STEPS = 256;
const EVERY_MS = 250; // minimum time between drawings: faster updates are not visible, and the scan may run on the same machine
const PARTS = [0.005, 0.995]; // quantiles at the ends of the colour scale, so that a few outliers do not darken the image

/** A panel for one array of a reconstruction. */
export class Panel {
  constructor({ name, meaning, units, dims, channels }, pixelSize, colours) {
    this.pixelSize = pixelSize;
    this.table = tableOf(COLOURS[colours]);
    this.canvas = make("canvas", { className: "pixels" });
    this.bar = make("canvas", { className: "colours", width: 1, height: STEPS });
    this.high = make("span");
    this.low = make("span");
    this.ruler = make("span", { className: "ruler", hidden: true });
    const unit = units && units !== "1" && !meaning.includes(units) ? ` (${units})` : "";
    this.caption = make("figcaption", { textContent: meaning + unit });
    this.frame = make("div", { className: "frame" }, this.canvas, this.ruler);
    this.ratio = 1; // width to height, as it is in space
    this.element = make("figure", { className: colours }, this.caption,
      make("div", { className: "picture" }, this.frame,
        make("div", { className: "scale" }, this.high, this.bar, this.low)));
    this.element.dataset.array = name;
    this.names = channels;
    this.axis = dims?.slice(0, -2).join(", ") || "channel";
    this.channel = 0;
    this.latest = null; // the newest entry
    this.drawing = null;
    this.drawnAt = -Infinity;
  }

  /** Show an entry of a stack soon; of the entries that arrive meanwhile, only the newest. */
  show(entry) {
    if (this.latest && entry.count <= this.latest.count) return;
    this.latest = entry;
    const wait = Math.max(0, this.drawnAt + EVERY_MS - performance.now());
    this.drawing ??= setTimeout(() => requestAnimationFrame(() => {
      this.drawing = null;
      this.draw();
    }), wait);
  }

  /** Draw the last two axes of the newest entry; if there are further axes, such as elements, draw one channel. */
  draw() {
    const { count, shape, values: all } = this.latest;
    this.drawnAt = performance.now();
    const [height, width] = shape.slice(-2);
    this.choose(shape.slice(0, -2).reduce((product, length) => product * length, 1));
    const values = all.subarray(this.channel * height * width, (this.channel + 1) * height * width);
    const [low, high] = limits(values);
    const pixels = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      const step = Math.max(0, Math.min(STEPS - 1, Math.floor((STEPS * (values[i] - low)) / (high - low))));
      pixels.data.set(Number.isFinite(values[i]) ? this.table[step] : NO_VALUE, 4 * i);
      pixels.data[4 * i + 3] = 255;
    }
    Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").putImageData(pixels, 0, 0);
    this.canvas.dataset.count = count;
    this.high.textContent = number(high);
    this.low.textContent = number(low);
    this.drawBar();
    this.rule(height, width);
  }

  /** Buttons that step through the channels, if there are several. */
  choose(channels) {
    if (channels < 2) return;
    if (!this.channels) {
      this.channels = make("span", { className: "channels" });
      const step = (by) => () => {
        this.channel = (this.channel + by + this.count) % this.count;
        this.draw();
      };
      this.which = make("span");
      this.channels.append(make("button", { textContent: "‹", onclick: step(-1) }), this.which,
        make("button", { textContent: "›", onclick: step(1) }));
      this.caption.append(this.channels);
    }
    this.count = channels;
    this.channel = Math.min(this.channel, channels - 1);
    const place = `${this.channel + 1} of ${channels}`;
    this.which.textContent = this.names ? `${this.names[this.channel]} (${place})` : `${this.axis} ${place}`;
  }

  drawBar() {
    const pixels = new ImageData(1, STEPS);
    this.table.forEach((colour, step) => pixels.data.set([...colour, 255], 4 * (STEPS - 1 - step)));
    this.bar.getContext("2d").putImageData(pixels, 0, 0);
  }

  /** Proportions and scale bar from the pixel size, if it is known. */
  rule(height, width) {
    const [y, x] = [this.pixelSize].flat();
    const [tall, wide] = [y || x || 1, x || y || 1];
    this.ratio = (width * wide) / (height * tall);
    this.element.style.setProperty("--ratio", this.ratio);
    this.ruler.hidden = !(y || x);
    if (this.ruler.hidden) return;
    const length = roundLength((width * wide) / 3);
    this.ruler.style.width = `${(100 * length) / (width * wide)}%`;
    this.ruler.textContent = length >= 1000 ? `${length / 1000} mm` : length < 1 ? `${number(1000 * length)} nm` : `${length} µm`;
  }
}

/** The largest of 1, 2, 5, 10, ... that is not above the length. */
function roundLength(most) {
  const decade = 10 ** Math.floor(Math.log10(most));
  return decade * [5, 2, 1].find((step) => step * decade <= most);
}

function limits(values) {
  const sorted = values.filter(Number.isFinite).sort();
  if (!sorted.length) return [0, 1];
  const [low, high] = PARTS.map((part) => sorted[Math.round(part * (sorted.length - 1))]);
  return [low, high > low ? high : low + 1e-9];
}

function tableOf(colour) {
  return Array.from({ length: STEPS }, (_, step) => colour(step / (STEPS - 1)).map((part) => Math.max(0, Math.min(255, part))));
}
