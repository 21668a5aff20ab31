// Charts in SVG: bands, lines and points over axes with names, and a legend.

import { html, shown, svg } from "./dom.js";

const RIGHT = 10, TOP = 8, BOTTOM = 38;

function stepOf(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough) + 1e-9);
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * (1 - 1e-9));
}

// Round numbers that divide a range into about `count` parts.
export function ticks(low, high, count) {
  const step = stepOf(low, high, count), found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

// Ticks whose first and last enclose all values, with labels that have equally many decimals.
function scaleOf(values, count, zero) {
  const [low, high] = extent(zero ? [0, ...values] : values, 0), step = stepOf(low, high, count);
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  return ticks(first * step, last * step, (last - first) || 1);
}

function extent(values, share = 0.04) {
  let low = Infinity, high = -Infinity;
  for (const one of values) {
    if (one === null || one === undefined) continue;
    if (one < low) low = one;
    if (one > high) high = one;
  }
  if (low > high) return [0, 1];
  const room = (high - low) * share || Math.abs(high) * 0.1 || 1;
  return high > low && !share ? [low, high] : [low - room, high + room];
}

const path = (xs, ys, fx, fy) => {
  let text = "", pen = "M";
  for (let i = 0; i < ys.length; i += 1) {
    if (ys[i] === null || ys[i] === undefined) { pen = "M"; continue; }
    text += `${pen}${fx(xs ? xs[i] : i).toFixed(1)} ${fy(ys[i]).toFixed(1)}`;
    pen = "L";
  }
  return text;
};

function area(xs, low, high, fx, fy) {
  const forth = low.map((one, i) => (one === null ? null : `${fx(xs ? xs[i] : i).toFixed(1)} ${fy(one).toFixed(1)}`)).filter(Boolean);
  const back = high.map((one, i) => (one === null ? null : `${fx(xs ? xs[i] : i).toFixed(1)} ${fy(one).toFixed(1)}`)).filter(Boolean).reverse();
  return forth.length ? `M${forth.join("L")}L${back.join("L")}Z` : "";
}

function ys(layer) {
  if (layer.kind === "band") return [...layer.low, ...layer.high];
  if (layer.kind === "lines") return layer.rows.flat();
  if (layer.kind === "rule") return [];
  return layer.y;
}

function xs(layer) {
  if (layer.kind === "rule") return [layer.at];
  if (layer.x) return layer.x;
  return [0, Math.max(...(layer.kind === "lines" ? layer.rows.map((row) => row.length) : [(layer.y || layer.low).length])) - 1];
}

const swatch = (layer) => svg("svg", { viewBox: "0 0 30 12", "aria-hidden": "true" },
  layer.kind === "band" ? svg("rect", { x: 0, y: 1, width: 30, height: 10, class: `band ${layer.inner ? "inner" : ""} fill-${layer.colour}` })
    : layer.kind === "points" ? svg("circle", { cx: 15, cy: 6, r: 4.5, class: `fill-${layer.colour}` })
      : svg("path", { d: "M0 6H30", class: `linelike stroke-${layer.colour}`, "stroke-dasharray": layer.kind === "rule" ? "3 3" : layer.dash }));

// The labels of ticks, with equally many decimals where these are few.
function labelsOf(ticks) {
  const most = Math.max(...ticks.map(Math.abs)), decimals = Math.max(0, -Math.floor(Math.log10(ticks[1] - ticks[0]) + 1e-9));
  return decimals > 6 || most >= 1e8 ? ticks.map(shown) : ticks.map((one) => one.toFixed(decimals));
}

// A chart in a section with a heading. `draw(layers, options)` replaces what it shows.
//   layers: { kind: "line" | "lines" | "band" | "points" | "rule", name, colour: 1 to 8, dash, x, y | rows | low, high }
export function chart(title, { x, y, height = 260, zero = false, wide = false, near = false }) {
  const legend = html("ul", { class: "legend" }), picture = svg("svg", { class: "chart", role: "img", height });
  const note = html("p", { class: "note" });
  const element = html("section", { class: [wide && "wide", near && "near"].filter(Boolean).join(" ") || null }, html("h2", {}, title), legend, picture, note);
  let kept = [], shownAs = {};
  function paint() {
    const width = Math.max(picture.clientWidth || 480, 160);
    const [x0, x1] = extent(kept.flatMap(xs));
    const up = scaleOf(kept.flatMap(ys), Math.max(2, Math.floor(height / 45)), zero), [y0, y1] = [up[0], up.at(-1)];
    const written = labelsOf(up), left = 26 + 7.2 * Math.max(4, ...written.map((one) => one.length));
    const fx = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - RIGHT);
    const fy = (value) => height - BOTTOM - ((value - y0) / (y1 - y0)) * (height - TOP - BOTTOM);
    const across = ticks(x0, x1, Math.max(2, Math.floor(width / 90))), named = labelsOf(across);
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.replaceChildren(
      svg("title", {}, `${title}: ${kept.map((one) => one.name).filter(Boolean).join(", ")}`),
      ...up.map((one, i) => svg("g", {}, svg("path", { class: "axis", d: `M${left} ${fy(one)}H${width - RIGHT}` }), svg("text", { x: left - 6, y: fy(one) + 4, "text-anchor": "end" }, written[i]))),
      ...across.map((one, i) => svg("g", {}, svg("path", { class: "axis", d: `M${fx(one)} ${height - BOTTOM}v4` }), svg("text", { x: fx(one), y: height - BOTTOM + 17, "text-anchor": "middle" }, named[i]))),
      svg("path", { class: "frame", d: `M${left} ${TOP}V${height - BOTTOM}H${width - RIGHT}` }),
      svg("text", { x: (left + width - RIGHT) / 2, y: height - 4, "text-anchor": "middle" }, x),
      svg("text", { transform: `translate(12 ${(height - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" }, y),
      ...kept.map((layer) => layerOf(layer, fx, fy, height)),
    );
    if (shownAs.after) shownAs.after({ fx, fy, x0, x1, y0, y1, width, height, picture });
  }
  new ResizeObserver(paint).observe(picture);
  return {
    element, picture, paint,
    draw(layers, options = {}) {
      kept = layers;
      shownAs = options;
      legend.replaceChildren(...layers.filter((one) => one.name).map((one) => html("li", {}, swatch(one), one.name)));
      note.textContent = options.note || "";
      paint();
    },
  };
}

function layerOf(layer, fx, fy, height) {
  if (layer.kind === "band") return svg("path", { d: area(layer.x, layer.low, layer.high, fx, fy), class: `band ${layer.inner ? "inner" : ""} fill-${layer.colour}` });
  if (layer.kind === "lines") return svg("g", {}, layer.rows.map((row) => svg("path", { d: path(layer.x, row, fx, fy), class: `linelike thin stroke-${layer.colour}` })));
  if (layer.kind === "rule") return svg("path", { d: `M${fx(layer.at)} ${TOP}V${height - BOTTOM}`, class: `linelike stroke-${layer.colour}`, "stroke-dasharray": "3 3" });
  if (layer.kind === "points") {
    return svg("g", {}, layer.y.map((one, i) => (one === null ? null : svg("circle", { cx: fx(layer.x ? layer.x[i] : i), cy: fy(one), r: layer.radius || 4, class: `dot fill-${layer.colour}` }))));
  }
  return svg("path", { d: path(layer.x, layer.y, fx, fy), class: `linelike stroke-${layer.colour}`, "stroke-dasharray": layer.dash });
}
