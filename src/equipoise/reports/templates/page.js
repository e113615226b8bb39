"use strict";

// A click on a heading sorts by its column, downwards first; numbers sort by their value.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table");
    const down = head.getAttribute("aria-sort") !== "descending";
    const value = row => {
      const text = row.cells[head.cellIndex].textContent.trim();
      const number = parseFloat(text.replace("−", "-").replace(/^<\s*/, "").replace(/(\d),(?=\d{3})/g, "$1"));
      return isNaN(number) ? text : number;
    };
    const rank = found => typeof found === "number" ? 1 : 0;
    const order = (a, b) => rank(a) - rank(b) || (rank(a) ? a - b : a.localeCompare(b));
    const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a), value(b)) * (down ? -1 : 1));
    table.tBodies[0].append(...rows);
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
}

// Where a browser forbids copying, the code is selected at least.
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => {
    getSelection().selectAllChildren(button.nextElementSibling);
    if (document.execCommand("copy")) button.textContent = "Copied";
  });
}

const views = [];

function configOf(width) {
  const narrow = width < 560, columns = Math.max(2, Math.min(5, Math.floor(width / 190)));
  return {
    background: null,
    font: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
    view: {stroke: null},
    axis: {
      labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", labelLimit: Math.round(width * 0.36),
      gridOpacity: 0.8, labelOverlap: true,
    },
    axisX: {labelLimit: 90, titleLimit: Math.round(width * 0.6)},
    axisQuantitative: {tickCount: narrow ? 4 : 7},
    header: {labelFontSize: 12, titleFontSize: 12, labelLimit: width},
    legend: {
      labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", orient: "top", columns,
      labelLimit: Math.round((width - 60) / columns) - 30,
    },
    title: {fontSize: 13, anchor: "start", fontWeight: 600, limit: width},
  };
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function drawAll() {
  const packed = document.getElementById("vega");
  if (!packed) return;
  const script = document.createElement("script");
  script.textContent = await unpacked(packed.textContent.trim());
  document.head.append(script);
  for (const figure of document.querySelectorAll("figure.chart")) {
    const target = figure.querySelector(".vega");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const options = {renderer: "svg", actions: false, config: configOf(target.clientWidth), tooltip: {theme: "custom"}};
    try {
      views.push((await vegaEmbed(target, spec, options)).view);
    } catch (error) {
      target.textContent = `This chart could not be drawn: ${error.message}`;
    }
  }
  document.documentElement.dataset.drawn = "yes";
}

// Vega's symbols, as paths.
const SYMBOLS = {
  "circle": "M5,0A5,5,0,1,1,-5,0A5,5,0,1,1,5,0",
  "square": "M-4.4,-4.4h8.8v8.8h-8.8Z",
  "diamond": "M0,-6L5,0L0,6L-5,0Z",
  "cross": "M-5.5,-1.8h3.7v-3.7h3.6v3.7h3.7v3.6h-3.7v3.7h-3.6v-3.7h-3.7Z",
  "triangle-up": "M0,-5.5L5.5,4.5H-5.5Z",
  "triangle-down": "M0,5.5L5.5,-4.5H-5.5Z",
  "triangle-right": "M5.5,0L-4.5,5.5V-5.5Z",
  "triangle-left": "M-5.5,0L4.5,5.5V-5.5Z",
};

function drawSymbols() {
  for (const place of document.querySelectorAll(".symbol")) {
    const path = SYMBOLS[place.dataset.symbol] ?? SYMBOLS.circle;
    place.innerHTML = `<svg viewBox="-6 -6 12 12" aria-hidden="true"><path fill="currentColor" d="${path}"/></svg>`;
  }
}

// One legend isolates a configuration in every chart that has the signal `isolated`.
function isolate(name) {
  for (const button of document.querySelectorAll(".legend button")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === name));
  }
  for (const view of views) {
    try {
      view.signal("isolated", name).run();
    } catch {
      // this chart does not tell configurations apart
    }
  }
}

for (const button of document.querySelectorAll(".legend button")) {
  const isPressed = () => button.getAttribute("aria-pressed") === "true";
  button.addEventListener("click", () => isolate(isPressed() ? null : button.dataset.name));
}

// On paper every chart has the width of the sheet, or of half of it, and all code is open.
function toPaper() {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const view of views) {
    const figure = view.container().closest("figure");
    resized(view, Math.min(figure.closest(".beside") ? 330 : 680, parseInt(figure.style.maxWidth) || 680));
  }
}

function resized(view, width) {
  try {
    view.signal("width", width).run();
  } catch {
    // a chart of several views has no one width
  }
}

addEventListener("beforeprint", toPaper);
addEventListener("afterprint", () => views.forEach(view => resized(view, view.container().clientWidth)));
drawSymbols();
drawAll();
