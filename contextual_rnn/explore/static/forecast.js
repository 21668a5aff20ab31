// Forecasts: from a chosen series and step, beside what came, with bands and baselines.

import { asker, facts, verdict } from "./api.js";
import { chart } from "./chart.js";
import { check, line, list, slider } from "./controls.js";
import { evenly, html, shown } from "./dom.js";
import { look } from "./kinds.js";

const COLOURS = [[1, null], [2, "7 4"], [3, null], [4, null], [8, null], [5, null]];

export function start(about, main) {
  const said = facts(about.facts[about.models[0]]);
  if (!about.series.length) {
    main.append(html("div", { class: "figures wide" }, said, html("p", { class: "remark" }, about.table)));
    return;
  }
  let last = null, times = [];
  const baselines = ["persistence", "mean", "seasonal", "linear"];
  const style = (name, i) => (baselines.includes(name) ? look(name) : { colour: COLOURS[i % 6][0], dash: COLOURS[i % 6][1] });
  const series = list("Series", about.series.map((one, i) => ({ value: String(i), text: one.name })), () => { fit(); askTimes(); ask(); });
  const begin = slider("Forecast starts after this many steps", { least: about.past, most: about.past + 1, step: 1, value: about.past }, () => ask());
  const time = about.timed ? line("Time of the first forecast step", "", jump) : null;
  const before = slider("Past steps shown", { least: 1, most: about.past, step: 1, value: Math.min(about.past, 3 * about.horizon) }, () => draw(last));
  const kinds = about.kinds.map((name) => check(name, name !== "mean", () => draw(last)));
  const unit = about.frequency ? `step, 0 is the first of the forecast (${about.frequency} each)` : "step, 0 is the first of the forecast";
  const charts = about.targets.map((target) => chart(`${target}: forecast and what came`, { x: unit, y: target, height: 340, wide: true, near: true }));
  const errors = html("div", { class: "scroll" }), apart = html("p", { class: "note" });
  main.append(
    html("form", { class: "controls", "aria-label": "Controls", onsubmit: (event) => event.preventDefault() },
      series.element, begin.element, time && time.element, before.element,
      html("fieldset", { class: "control" }, html("legend", {}, "Forecasts"), kinds.map((one) => one.element))),
    html("div", { class: "figures" }, said, charts.map((one) => one.element),
      html("section", {}, html("h2", {}, "Errors of these forecasts"), errors, apart), verdict(about), html("p", { class: "note wide" }, about.table)),
  );

  const ask = asker("forecast", () => ({ series: Number(series.value()), start: begin.value() - about.past }), (found) => {
    last = found;
    if (time && found.time && document.activeElement !== time.element.querySelector("input")) time.set(found.time);
    draw(found);
  });
  const askTimes = asker("times", () => ({ series: Number(series.value()) }), (found) => { times = found.times; });

  function fit() {
    const end = about.series[Number(series.value())].last;
    begin.limit(about.past, about.past + end);
    begin.set(about.past);
  }

  // Go to the first step whose time begins with what was typed, or that is the first after it.
  function jump() {
    const typed = time.value().trim();
    const at = typed === "" ? -1 : times.findIndex((one) => one.startsWith(typed));
    const place = at >= 0 ? at : times.findIndex((one) => one > typed);
    if (typed === "" || place < 0) return;
    begin.set(Math.min(about.past + place, about.past + about.series[Number(series.value())].last));
    ask();
  }

  function draw(found) {
    if (!found) return;
    const shownLines = found.lines.map((one, i) => [one, i]).filter(([, i]) => kinds[i].value());
    const ahead = found.measured[0].map((_, i) => i);
    charts.forEach((one, target) => {
      const past = found.past[target].slice(-before.value()), x = past.map((_, i) => i - past.length), layers = [];
      for (const [item, i] of shownLines) {
        if (!item.quantiles) continue;
        const count = item.quantiles.length;
        for (let outer = 0; outer < Math.floor(count / 2); outer += 1) {
          layers.push({ kind: "band", ...style(item.name, i), inner: outer > 0, x: ahead, low: item.quantiles[outer][target], high: item.quantiles[count - 1 - outer][target], name: `quantiles ${about.levels[outer]} to ${about.levels[count - 1 - outer]}` });
        }
      }
      layers.push({ kind: "line", name: "past", colour: 7, x, y: past });
      layers.push({ kind: "line", name: "what came", colour: 7, dash: "2 3", x: [-1, ...ahead], y: [past.at(-1), ...found.measured[target]] });
      for (const [item, i] of shownLines) layers.push({ kind: "line", name: item.name, ...style(item.name, i), x: ahead, y: item.forecast[target] });
      layers.push({ kind: "rule", at: -0.5, colour: 7, name: "start of the forecast" });
      one.draw(layers, { note: found.time ? `The first forecast step is ${found.time}.` : `The first forecast step is step ${begin.value()} of the series.` });
    });
    const written = about.targets.map((_, place) => evenly(found.lines.map((one) => one.rmse[place])));
    errors.replaceChildren(html("table", {}, html("thead", {}, html("tr", {}, html("th", {}, "forecast"), about.targets.map((target) => html("th", { class: "number" }, `RMSE of ${target}`)))),
      html("tbody", {}, found.lines.map((one) => html("tr", {}, html("td", {}, one.name), one.rmse.map((value, place) => html("td", { class: "number" }, written[place](value))))))));
    apart.textContent = difference(found.lines);
  }

  // How far the first two forecasts are apart, if they are of one network.
  function difference([own, zero]) {
    if (!zero || !zero.name.startsWith("h0 = 0")) return "";
    const most = about.targets.map((target, place) => `${shown(Math.max(...own.forecast[place].map((value, i) => Math.abs(value - zero.forecast[place][i]))))} (${target})`);
    return `For this forecast alone, h0 changes a value by at most ${most.join(", ")}. Other starts may differ.`;
  }

  fit();
  if (time) askTimes();
  ask();
}
