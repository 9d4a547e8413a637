// The panels of a reconstruction as one picture, for a logbook.

const HEIGHT = 512; // of each image, pixels
const GAP = 24;
const HEAD = 84;
const SCALE = 110; // for a colour bar and its numbers

/** A PNG of the panels side by side: an object with a method `blob()`. */
export async function picture(title, panels) {
  const widths = panels.map(({ canvas, ratio }) => (canvas.width ? Math.round(HEIGHT * ratio) : 0));
  const canvas = document.createElement("canvas");
  canvas.width = GAP + widths.reduce((sum, width) => sum + width + SCALE, 0);
  canvas.height = HEAD + HEIGHT + GAP;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000";
  context.imageSmoothingEnabled = false;
  context.font = "bold 24px sans-serif";
  context.fillText(title, GAP, 34);
  let x = GAP;
  panels.forEach((panel, place) => {
    draw(context, panel, x, widths[place]);
    x += widths[place] + SCALE;
  });
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return { blob: () => blob };
}

function draw(context, panel, x, width) {
  context.font = "18px sans-serif";
  context.fillText(panel.caption.textContent, x, HEAD - 14, width + SCALE - 10);
  context.drawImage(panel.canvas, x, HEAD, width, HEIGHT);
  context.drawImage(panel.bar, x + width + 8, HEAD, 16, HEIGHT);
  context.fillText(panel.high.textContent, x + width + 30, HEAD + 16);
  context.fillText(panel.low.textContent, x + width + 30, HEAD + HEIGHT - 2);
  if (panel.ruler.hidden) return;
  const length = (parseFloat(panel.ruler.style.width) / 100) * width;
  context.fillStyle = "#fff";
  context.fillRect(x + 14, HEAD + HEIGHT - 20, length, 6);
  context.fillText(panel.ruler.textContent, x + 14, HEAD + HEIGHT - 28);
  context.fillStyle = "#000";
}
