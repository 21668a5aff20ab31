// The map of h0: initial states of contexts at their first two principal components; a click starts sequences there.

import { list } from "./controls.js";
import { evenly, html, named, newId, shown, svg } from "./dom.js";

const SIZE = 360, EDGE = 44;
const LABELS = [1, 2, 3, 4, 6, 8, 5, 7];
const SHAPES = ["circle", "square", "triangle", "diamond"];

function marker(shape, x, y, attributes) {
  if (shape === "square") return svg("rect", { x: x - 4, y: y - 4, width: 8, height: 8, ...attributes });
  if (shape === "triangle") return svg("path", { d: `M${x} ${y - 5}l5 9h-10z`, ...attributes });
  if (shape === "diamond") return svg("path", { d: `M${x} ${y - 6}l5 6-5 6-5-6z`, ...attributes });
  return svg("circle", { cx: x, cy: y, r: 4.5, ...attributes });
}

const cross = (x, y) => `M${x - 5} ${y - 5}l10 10M${x - 5} ${y + 5}l10-10`;

// From dark blue to yellow, in even steps of lightness (a cut of the map cividis).
const CIVIDIS = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];
export function graded(share) {
  const at = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1), low = Math.min(Math.floor(at), CIVIDIS.length - 2);
  const mix = CIVIDIS[low].map((one, i) => Math.round(one + (CIVIDIS[low + 1][i] - one) * (at - low)));
  return `rgb(${mix.join(" ")})`;
}

export function map(fields, choose, chooseContext) {
  const help = newId();
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "application", tabindex: 0, "aria-label": "Map of h0", "aria-describedby": help });
  const legend = html("ul", { class: "legend" }), said = html("p", { class: "note", "aria-live": "polite" });
  const colour = list("Colour", fields.map((one) => one.name), () => paint());
  const note = html("p", { class: "note" });
  const helped = html("p", { class: "note", id: help }, "Click anywhere to start sequences from the h0 there. With the keyboard: arrow keys move the ring, N and P go to the next and the previous point, Enter takes the context of the point.");
  const whole = html("div", {}, colour.element, legend, picture, said, helped, note);
  const element = html("section", {}, html("h2", {}, "Map of h0"), whole, html("p", { class: "note" }));
  const none = element.lastChild;
  let shownMap = null, here = null, zero = null, at = -1;
  const box = {};

  const fx = (x) => EDGE + ((x - box.x0) / (box.x1 - box.x0)) * (SIZE - EDGE - 8);
  const fy = (y) => SIZE - EDGE - ((y - box.y0) / (box.y1 - box.y0)) * (SIZE - EDGE - 8);

  function paint() {
    if (!shownMap) return;
    const field = fields.find((one) => one.name === colour.value()), values = shownMap.contexts.map((one) => one[field.name]);
    const labels = field.kind === "label" ? field.labels : null;
    const style = (value) => {
      if (labels) {
        const number = labels.indexOf(String(value));
        return [SHAPES[Math.floor(number / LABELS.length) % SHAPES.length], { class: `dot fill-${LABELS[number % LABELS.length]}` }];
      }
      return ["circle", { class: "dot", fill: graded((Number(value) - field.low) / (field.high - field.low)) }];
    };
    const axis = (number) => `component ${number} (${Math.round(100 * shownMap.shares[number - 1])}% of the variance of h0)`;
    picture.replaceChildren(
      svg("title", {}, "Map of h0"),
      svg("path", { class: "frame", d: `M${EDGE} 8V${SIZE - EDGE}H${SIZE - 8}` }),
      svg("text", { x: (EDGE + SIZE) / 2, y: SIZE - 12, "text-anchor": "middle" }, axis(1)),
      svg("text", { transform: `translate(16 ${(SIZE - EDGE) / 2}) rotate(-90)`, "text-anchor": "middle" }, axis(2)),
      ...shownMap.places.map(([x, y], i) => marker(style(values[i])[0], fx(x), fy(y), style(values[i])[1])),
      zero ? svg("path", { class: "cross", d: cross(fx(zero[0]), fy(zero[1])) }, svg("title", {}, "h0 = 0")) : svg("g", {}),
      here ? svg("g", {}, svg("circle", { cx: fx(here[0]), cy: fy(here[1]), r: 9, class: "here" }), svg("circle", { cx: fx(here[0]), cy: fy(here[1]), r: 2, class: "fill-7" })) : svg("g", {}),
    );
    const shares = [0, 0.25, 0.5, 0.75, 1], valueAt = (share) => field.low + share * (field.high - field.low), written = evenly(labels ? [] : shares.map(valueAt));
    const keys = labels
      ? labels.slice(0, 32).map((one) => html("li", {}, svg("svg", { viewBox: "0 0 12 12" }, marker(style(one)[0], 6, 6, style(one)[1])), one))
      : shares.map((share) => html("li", {}, svg("svg", { viewBox: "0 0 12 12" }, svg("circle", { cx: 6, cy: 6, r: 5, fill: graded(share), class: "dot" })), written(valueAt(share))));
    legend.replaceChildren(...[...keys, html("li", {}, svg("svg", { viewBox: "0 0 12 12" }, svg("circle", { cx: 6, cy: 6, r: 4.5, class: "here", "stroke-width": 1.5 })), "the h0 in use"),
      zero && html("li", {}, svg("svg", { viewBox: "0 0 12 12" }, svg("path", { class: "cross", d: cross(6, 6) })), "h0 = 0")].filter(Boolean));
  }

  // Choose what the map shows: all points, and h0 = 0 if this makes no side more than twice as long. Returns h0 = 0 if it is shown.
  function enclose(places, origin) {
    const sides = (points) => ["x", "y"].map((_, axis) => [Math.min(...points.map((one) => one[axis])), Math.max(...points.map((one) => one[axis]))]);
    const without = sides(places), all = sides([...places, origin]);
    const near = without.every(([low, high], axis) => all[axis][1] - all[axis][0] <= 2 * (high - low) + 1e-9);
    (near ? all : without).forEach(([low, high], axis) => {
      const room = (high - low) * 0.12 || 1;
      [box[`${"xy"[axis]}0`], box[`${"xy"[axis]}1`]] = [low - room, high + room];
    });
    return near ? origin : null;
  }

  function go(place, words) {
    here = place;
    said.textContent = words;
    paint();
    choose(place);
  }

  picture.addEventListener("click", (event) => {
    if (!shownMap) return;
    const rect = picture.getBoundingClientRect(), scale = SIZE / rect.width;
    const px = (event.clientX - rect.left) * scale, py = (event.clientY - rect.top) * scale;
    const x = box.x0 + ((px - EDGE) / (SIZE - EDGE - 8)) * (box.x1 - box.x0), y = box.y0 + ((SIZE - EDGE - py) / (SIZE - EDGE - 8)) * (box.y1 - box.y0);
    go([x, y], `Sequences start at ${shown(x)}, ${shown(y)} of the map.`);
  });
  picture.addEventListener("keydown", (event) => {
    if (!shownMap || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = (box.x1 - box.x0) / 30, now = here || [0, 0];
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    const turn = { n: 1, p: -1 }[event.key.toLowerCase()];
    if (by) {
      const place = [now[0] + by[0], now[1] + by[1]];
      go(place, `Sequences start at ${shown(place[0])}, ${shown(place[1])} of the map.`);
    } else if (turn) {
      at = (at + turn + shownMap.places.length) % shownMap.places.length;
      go(shownMap.places[at], `The h0 of ${named(shownMap.contexts[at])}.`);
    } else if (event.key === "Enter" && at >= 0) {
      chooseContext(shownMap.contexts[at]);
    } else return;
    event.preventDefault();
  });

  return {
    element,
    show(next) {
      shownMap = next;
      at = -1;
      whole.hidden = !next;
      none.textContent = next ? "" : "This model has the same h0 whatever is known, so that there is no map.";
      if (!next) return;
      zero = enclose(next.places, next.zero);
      note.textContent = `Each point is the h0 of ${next.whose}. ${zero ? "The cross is h0 = 0, projected onto this plane." : `h0 = 0 lies far outside this map, at ${shown(next.zero[0])}, ${shown(next.zero[1])}.`}`;
      paint();
    },
    mark(place) {
      here = place || null;
      if (shownMap) paint();
    },
  };
}
