const SVG = "http://www.w3.org/2000/svg";
const MARGIN = 8;
const DRAWN = ["fill", "fill-opacity", "opacity", "stroke", "stroke-width", "stroke-opacity",
  "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "font-family", "font-size", "font-weight",
  "text-anchor", "shape-rendering"];

/** A copy of a drawing that carries its own colours; what the page hides is left out. */
function frozen(svg) {
  const copy = svg.cloneNode(true);
  const originals = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, k) => {
    const style = getComputedStyle(originals[k]);
    if (style.display === "none") node.dataset.hidden = "";
    DRAWN.forEach((name) => node.setAttribute(name, style.getPropertyValue(name)));
    node.removeAttribute("class");
  });
  copy.querySelectorAll("[data-hidden], .crosshair").forEach((node) => node.remove());
  copy.removeAttribute("data-hover");
  copy.removeAttribute("style");
  return copy;
}

/** Gives a drawing room for all that it shows, also beyond its own edge, on paper with a margin. */
function framed(svg, { x, y, right, bottom }) {
  const paper = document.createElementNS(SVG, "rect");
  const size = { width: right - x + 2 * MARGIN, height: bottom - y + 2 * MARGIN };
  const place = { x: x - MARGIN, y: y - MARGIN, ...size };
  for (const [name, value] of Object.entries(size)) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries(place)) paper.setAttribute(name, value);
  paper.setAttribute("fill", getComputedStyle(root).getPropertyValue("--paper"));
  svg.setAttribute("viewBox", Object.values(place).join(" "));
  svg.prepend(paper);
  return svg;
}

/** What a drawing covers: its own size, and whatever stands out beyond it. */
function extent(svg) {
  const own = svg.viewBox.baseVal, drawn = svg.getBBox();
  return {
    x: Math.min(own.x, drawn.x),
    y: Math.min(own.y, drawn.y),
    right: Math.max(own.x + own.width, drawn.x + drawn.width),
    bottom: Math.max(own.y + own.height, drawn.y + drawn.height),
  };
}

/** One drawing of what a box holds; a matrix is put together from its panes. */
function drawing(box) {
  const panes = ["columns", "rows", "cells"].map((name) => box.querySelector(`.${name} > svg`));
  if (!panes[0]) {
    const svg = box.querySelector("svg");
    return framed(frozen(svg), extent(svg));
  }
  const [columns, rows, cells] = panes.map(frozen);
  const side = Number(rows.getAttribute("width"));
  const head = Number(columns.getAttribute("height"));
  const whole = document.createElementNS(SVG, "svg");
  whole.setAttribute("xmlns", SVG);
  [[columns, side, 0], [rows, 0, head], [cells, side, head]].forEach(([part, x, y]) => {
    part.setAttribute("x", x);
    part.setAttribute("y", y);
    whole.append(part);
  });
  const right = side + Number(columns.getAttribute("width"));
  return framed(whole, { x: 0, y: 0, right, bottom: head + Number(rows.getAttribute("height")) });
}

function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

function svgAddress(svg) {
  return "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(svg));
}

async function pngAddress(svg) {
  const image = new Image();
  image.src = svgAddress(svg);
  await image.decode();
  const scale = Math.min(3, 8000 / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

function saveable(box) {
  const bar = document.createElement("div");
  bar.className = "save";
  const name = box.dataset.name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  for (const kind of ["SVG", "PNG"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = kind;
    button.setAttribute("aria-label", `Save ${name} as ${kind}`);
    button.addEventListener("click", async () => {
      const svg = drawing(box);
      save(kind === "SVG" ? svgAddress(svg) : await pngAddress(svg), `${name}.${kind.toLowerCase()}`);
    });
    bar.append(button);
  }
  (box.querySelector(".beside") ?? box).append(bar);
}

/** A line at the epoch under the pointer, and its scores beside it. */
function hoverable(svg) {
  const said = JSON.parse(svg.dataset.hover);
  const line = document.createElementNS(SVG, "line");
  line.setAttribute("class", "axis crosshair");
  line.setAttribute("y1", said.top);
  line.setAttribute("y2", said.bottom);
  const tip = document.createElement("div");
  tip.className = "tip";
  const leave = () => { line.remove(); tip.remove(); };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    let near = 0;
    said.x.forEach((at, k) => { if (Math.abs(at - x) < Math.abs(said.x[near] - x)) near = k; });
    line.setAttribute("x1", said.x[near]);
    line.setAttribute("x2", said.x[near]);
    svg.append(line);
    tip.replaceChildren(`epoch ${said.epochs[near]}`);
    said.curves.forEach((curve) => tip.append(document.createElement("br"), `${curve.name} ${curve.said[near]}`));
    const right = x > svg.viewBox.baseVal.width / 2;
    const place = said.x[near] / svg.viewBox.baseVal.width * box.width;
    tip.style.left = right ? "auto" : `${place + 12}px`;
    tip.style.right = right ? `${svg.parentElement.clientWidth - place + 12}px` : "auto";
    svg.parentElement.append(tip);
  });
  svg.addEventListener("pointerleave", leave);
}

/** Lets the rows and columns of a matrix change places together. */
function orderable(matrix) {
  const orders = JSON.parse(matrix.dataset.orders);
  const select = matrix.querySelector(".order");
  select.addEventListener("change", () => {
    const order = orders[select.value];
    const place = [];
    order.forEach((k, at) => { place[k] = at; });
    const cells = matrix.querySelector(".cells > svg");
    const cell = cells.viewBox.baseVal.width / order.length;
    const at = (word) => (word === undefined ? 0 : place[Number(word)] * cell);
    matrix.querySelectorAll("g[data-row], g[data-column]").forEach((node) => {
      node.setAttribute("transform", `translate(${at(node.dataset.column)} ${at(node.dataset.row)})`);
    });
  });
}

document.querySelectorAll(".drawing, .matrix").forEach(saveable);
document.querySelectorAll("svg[data-hover]").forEach(hoverable);
document.querySelectorAll(".matrix").forEach(orderable);
