// Generated series: trajectories with bands beside training series, strokes of two targets, and the map of h0.

import { asker, facts, verdict } from "./api.js";
import { chart } from "./chart.js";
import { check, context, models, slider, whole } from "./controls.js";
import { html, named, svg } from "./dom.js";
import { map } from "./map.js";

export function start(about, main) {
  let place = null;
  const moved = () => { place = null; ask(); };
  const model = models(about.models, () => { showModel(); moved(); });
  const fields = context(about.fields, moved);
  const temperature = slider("Temperature (1: the model's distribution; 0: its mode)", { least: 0, most: 2, step: 0.05, value: 1 }, () => ask());
  const seed = whole("Seed", 0, 0, 2 ** 31, () => ask());
  const steps = slider("Steps at most", { least: 2, most: Math.min(about.steps.most, Math.max(100, 3 * about.steps.value)), step: 1, value: about.steps.value }, () => ask());
  const count = slider("Trajectories", { least: 1, most: 300, step: 1, value: 100 }, () => ask());
  const zero = check("also from h0 = 0, with the same random numbers", true, () => ask());
  const charts = about.targets.map((target) => chart(`Generated ${target}`, { x: "step", y: target, height: 300, near: true, wide: about.targets.length === 1 }));
  const note = html("p", { class: "note wide near" });
  const strokes = about.targets.length === 2 ? html("div", { class: "multiples" }) : null;
  const said = html("div", { class: "facts" });
  const plane = map(about.fields, (next) => { place = next; ask(); }, (values) => { fields.set(values); moved(); });
  main.append(
    html("form", { class: "controls", "aria-label": "Controls", onsubmit: (event) => event.preventDefault() },
      html("h2", {}, about.fields.length ? "What is known about the series" : "Sampling"),
      model.element, fields.elements, temperature.element, seed.element, steps.element, count.element, zero.element),
    html("div", { class: "figures" }, said, charts.map((one) => one.element), note,
      strokes && html("section", {}, html("h2", {}, `Strokes: ${about.targets[1]} over ${about.targets[0]}`),
        html("ul", { class: "legend" }, [[1, "generated"], [7, "training series of the nearest context"]].map(([colour, name]) => html("li", {}, svg("svg", { viewBox: "0 0 30 12" }, svg("path", { d: "M0 6H30", class: `linelike stroke-${colour}` })), name))),
        strokes, html("p", { class: "note" }, "A dot is the start of a stroke.")),
      plane.element,
      verdict(about)),
  );

  const ask = asker("sample", () => ({
    model: model.value(), context: fields.value(), temperature: temperature.value(), seed: seed.value(), steps: steps.value(),
    n: count.value(), zero: zero.value(), place,
  }), draw);

  function showModel() {
    said.replaceChildren(...facts(about.facts[model.value()]).childNodes);
    plane.show(about.maps[model.value()]);
  }

  function draw(found) {
    charts.forEach((one, target) => {
      const bands = found.bands[target], layers = [
        { kind: "lines", rows: found.trajectories[target], colour: 1, name: "each series (thin)" },
        { kind: "band", low: bands[0], high: bands[4], colour: 1, name: "90% of the series" },
        { kind: "band", low: bands[1], high: bands[3], colour: 1, inner: true, name: "50% of the series" },
        { kind: "line", y: bands[2], colour: 1, name: place ? "median from the chosen h0" : "median from h0" },
      ];
      if (found.zero) layers.push({ kind: "line", y: found.zero[target][2], colour: 2, dash: "7 4", name: "median from h0 = 0" });
      found.nearest.forEach((series, rank) => layers.push({ kind: "line", y: series.targets[target], colour: 7, dash: "2 3", name: rank ? null : "training series of the nearest context" }));
      one.draw(layers);
    });
    note.textContent = noteOf(found);
    if (strokes) {
      const boxes = [...found.trajectories[0].slice(0, 12).map((x, i) => drawing(x, found.trajectories[1][i], 1)), ...found.nearest.map((one) => drawing(one.targets[0], one.targets[1], 7, `training series ${one.name}`))];
      strokes.replaceChildren(...boxes);
    }
    plane.mark(found.here);
  }

  function noteOf(found) {
    const nearest = found.nearest.length ? `Dotted: training series ${found.nearest.map((one) => `${one.name} (${named(one.context) || "no context"})`).join("; ")}.` : "";
    return `A series ends where the model draws its end: ${found.ended} of ${found.trajectories[0].length} did so within these steps. Bands and medians, from h0 = 0 too, are of the series that have not ended at a step, and stop where fewer than a tenth are left. ${nearest} ${about.training}`;
  }

  showModel();
  ask();
}

// The stroke of two targets in a small square; a filled dot is its start.
function drawing(x, y, colour, name) {
  const known = x.map((one, i) => [one, y[i]]).filter(([a, b]) => a !== null && b !== null);
  const [xs, ys] = [known.map((one) => one[0]), known.map((one) => one[1])];
  const size = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)) || 1;
  const at = ([a, b]) => `${(((a - Math.min(...xs)) / size) * 100).toFixed(1)} ${(100 - ((b - Math.min(...ys)) / size) * 100).toFixed(1)}`;
  if (!known.length) return svg("svg", {});
  const [startX, startY] = at(known[0]).split(" ");
  return svg("svg", { viewBox: "-6 -6 112 112", role: "img" }, svg("title", {}, name || "generated stroke"),
    svg("path", { d: `M${known.map(at).join("L")}`, class: `linelike stroke-${colour}`, "stroke-width": 4, "vector-effect": "non-scaling-stroke" }),
    svg("circle", { cx: startX, cy: startY, r: 5, class: `fill-${colour}` }));
}
