// Series: predictions from every kind of h0, from a window that can be moved, and whose values can be changed.

import { asker, facts, verdict } from "./api.js";
import { chart } from "./chart.js";
import { check, list, slider } from "./controls.js";
import { evenly, html, svg } from "./dom.js";
import { look } from "./kinds.js";

const MOST_CELLS = 60; // values of the window that have a field of their own

export function start(about, main) {
  const said = facts([...about.facts[about.models[0]].slice(0, 2), about.models.length > 1 ? "Each line is a network with its own kind of initial state h0, trained on the same data; the first seed of each. They differ by the kind of h0, and by what training made of it." : `${about.facts[about.models[0]][2]} The line from h0 = 0 is that of the same network: the distance is what h0 changes.`, about.facts[about.models[0]].at(-1)]);
  if (!about.series.length) {
    main.append(html("div", { class: "figures wide" }, said, html("p", { class: "remark" }, about.table)));
    return;
  }
  let window = null; // other values than the measured ones, by step; null: the measured ones
  let measured = null;
  const k = about.window;
  const steps = () => about.series[Number(series.value())].steps;
  const series = list("Series", about.series.map((one, i) => ({ value: String(i), text: one.name })), () => { begin.set(0); fit(); again(); });
  const begin = slider(k ? "Window starts at step" : "Start at step", { least: 0, most: 1, step: 1, value: 0 }, () => again());
  const length = slider("Steps to predict", { least: 1, most: 100, step: 1, value: 50 }, () => ask());
  const kinds = about.kinds.map((name) => check(name, true, () => draw(last), `(${about.meanings[name].meaning})`));
  const group = (knows) => kinds.filter((_, i) => about.meanings[about.kinds[i]].knows === knows).map((one) => one.element);
  const known = k ? "the first samples" : "the context";
  const shift = slider("Shift all by", { least: -1, most: 1, step: 0.01, value: 0 }, moved);
  const table = html("div", {}), scores = html("div", { class: "scroll" });
  const reset = html("button", { type: "button", onclick: again }, "Measured values again");
  const step = about.frequency ? `step of the series (${about.frequency} each)` : "step of the series";
  const charts = about.targets.map((target) => chart(`${target}: measured and predicted`, { x: step, y: target, height: 320, wide: true, near: true }));
  const errors = about.targets.map((target) => chart(`RMSE of ${target}, from the first predicted step up to each step`, { x: step, y: `RMSE of ${target}`, zero: true }));
  const inputs = about.inputs.length ? chart("Inputs", { x: step, y: about.inputs.length > 1 ? "inputs" : about.inputs[0] }) : null;
  let last = null;
  main.append(
    html("form", { class: "controls", "aria-label": "Controls", onsubmit: (event) => event.preventDefault() },
      series.element, begin.element, length.element,
      html("fieldset", { class: "control" }, html("legend", {}, "Initial states"), [[`Know ${known}`, group(true)], [`Do not know ${known}`, group(false)]].map(([name, some]) => some.length > 0 && [html("div", { class: "note" }, name), some])),
      !k && html("p", { class: "note" }, "The model has no window of known first samples.")),
    html("div", { class: "figures" }, said, charts.map((one) => one.element),
      k && html("section", { class: "controls wide near" }, html("h2", {}, "What if the first samples were these?"), shift.element, table, reset),
      errors.map((one) => one.element),
      html("section", {}, html("h2", {}, "Errors of these predictions"), scores,
        html("p", { class: "note" }, "RMSE up to the last step shown, in the unit of the target: of this series alone, by one model of each kind.")),
      verdict(about), inputs && inputs.element,
      html("p", { class: "note wide" }, about.table)),
  );

  const ask = asker("predict", () => ({ series: Number(series.value()), start: begin.value(), steps: length.value() + k, window: window && rows() }), (found) => {
    last = found;
    if (window === null) { measured = found.window; fields(); }
    draw(found);
  });

  const rows = () => window[0].map((_, step) => window.map((column) => column[step]));

  function fit() {
    const room = steps() - k - 1;
    begin.limit(0, Math.max(room, 0));
    length.limit(1, Math.min(steps() - k, about.most));
    length.set(Math.min(steps() - k, about.most, 100));
  }

  function again() {
    window = null;
    shift.set(0);
    ask();
  }

  function moved() {
    if (!measured) return;
    window = measured.map((column) => column.map((one) => (one === null ? null : one + shift.value())));
    fields();
    ask();
  }

  // A field for every value of the window.
  function fields() {
    const values = window || measured;
    if (!k) return;
    const known = measured.flat().filter((one) => one !== null), spread = Math.max(...known) - Math.min(...known) || Math.abs(known[0]) || 1;
    const reach = Math.max(spread, reachOf(last));
    shift.limit(-reach, reach, reach / 100);
    if (values.length * k > MOST_CELLS) {
      table.replaceChildren(html("p", { class: "note" }, `The window has ${k} steps. Drag its points in the picture, or shift all.`));
      return;
    }
    const written = evenly([], reachOf(last));
    table.replaceChildren(...about.targets.map((target, column) => html("div", { class: "samples", role: "group", "aria-label": target }, html("strong", {}, target), values[column].map((value, i) => html("label", {}, `step ${begin.value() + i}`, html("input", {
      type: "number", step: "any", value: value === null ? "" : written(value), "aria-label": `${target} at step ${begin.value() + i}`,
      oninput: (event) => { if (event.target.value !== "") set(column, i, Number(event.target.value)); },
    }))))));
  }

  function reachOf(found) {
    const values = found ? found.measured.flat().filter((one) => one !== null) : [1];
    return Math.max(...values) - Math.min(...values) || 1;
  }

  function set(column, step, value) {
    window = window || measured.map((one) => [...one]);
    window[column][step] = value;
    ask();
  }

  function draw(found) {
    if (!found) return;
    const from = begin.value(), x = (values, first) => values.map((_, i) => from + first + i);
    const shownKinds = found.kinds.filter((_, i) => kinds[i].value());
    charts.forEach((one, target) => {
      const layers = [{ kind: "line", name: "measured", colour: 7, dash: "2 3", x: x(found.measured[target], 0), y: found.measured[target] }];
      for (const kind of shownKinds) layers.push({ kind: "line", name: kind.name, ...look(kind.name), x: x(kind.predicted[target], k), y: kind.predicted[target] });
      if (k) layers.push({ kind: "points", name: window ? "window, changed" : "window (drag a dot up or down)", colour: window ? 2 : 7, x: x(found.window[target], 0), y: found.window[target], radius: 5 });
      one.draw(layers, { after: (scale) => handles(scale, found, target, from), note: found.time ? `Step ${from} is ${found.time}.` : "" });
    });
    errors.forEach((one, target) => one.draw(shownKinds.map((kind) => ({ kind: "line", name: kind.name, ...look(kind.name), x: x(kind.errors[target], k), y: kind.errors[target] })), {
      note: window ? "The measured series is that of the measured window." : "",
    }));
    const written = about.targets.map((_, target) => evenly(found.kinds.map((kind) => kind.errors[target].at(-1))));
    scores.replaceChildren(html("table", {}, html("thead", {}, html("tr", {}, html("th", {}, "initial state"), about.targets.map((target) => html("th", { class: "number" }, `RMSE of ${target}`)))),
      html("tbody", {}, shownKinds.map((kind) => html("tr", {}, html("td", {}, kind.name), about.targets.map((_, target) => html("td", { class: "number" }, written[target](kind.errors[target].at(-1)))))))));
    if (inputs) inputs.draw(found.inputs.map((values, i) => values && { kind: "line", name: about.inputs[i], colour: (i % 8) + 1, x: x(values, 0), y: values }).filter(Boolean));
  }

  // Points of the window that can be dragged up and down; the fields beside do the same with the keyboard.
  function handles(scale, found, target, from) {
    found.window[target].forEach((value, step) => {
      if (value === null) return;
      const handle = svg("circle", { cx: scale.fx(from + step), cy: scale.fy(value), r: 11, fill: "transparent", class: "handle" });
      handle.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        const box = scale.picture.getBoundingClientRect(), perUnit = scale.height / box.height;
        const at = (move) => {
          const y = (move.clientY - box.top) * perUnit, share = (scale.fy(scale.y0) - y) / (scale.fy(scale.y0) - scale.fy(scale.y1));
          set(target, step, scale.y0 + share * (scale.y1 - scale.y0));
        };
        const stop = () => { removeEventListener("pointermove", at); removeEventListener("pointerup", stop); fields(); };
        addEventListener("pointermove", at);
        addEventListener("pointerup", stop);
      });
      scale.picture.append(handle);
    });
  }

  fit();
  ask();
}
