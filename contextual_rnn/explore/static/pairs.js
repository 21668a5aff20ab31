// Pairs: the best targets of a source, the attention as a picture, and what the bridge makes of the encoder's state.

import { asker, facts, verdict } from "./api.js";
import { check, line, list, models, slider } from "./controls.js";
import { chance, html, newId, shown, svg } from "./dom.js";

export function start(about, main) {
  let found = null, chosen = 0;
  const model = models(about.models, () => { showModel(); ask(); });
  const hints = newId();
  const source = line("Source", about.source, () => ask(), { list: hints });
  const label = about.labels.length === 0 ? null : about.separator ? line(`Label: tags, separated by ${about.separator}`, about.labels[0], () => ask()) : list("Label", about.labels, () => ask());
  // A beam finds at most as many targets as it is wide: either control takes the other one along.
  const beam = slider("Beam", { least: 1, most: 20, step: 1, value: 5 }, () => { best.set(Math.min(best.value(), beam.value())); ask(); });
  const best = slider("Targets to show", { least: 1, most: 20, step: 1, value: 5 }, () => { beam.set(Math.max(best.value(), beam.value())); ask(); });
  const alpha = slider("Length penalty (alpha)", { least: 0, most: 2, step: 0.1, value: about.alpha }, () => ask());
  const zero = check("also from h0 = 0 of the decoder", true, () => ask());
  const said = html("div", { class: "facts" });
  const read = html("p", {}), targets = html("div", { class: "scroll targets" }), fewer = html("p", {}), without = html("p", {});
  const symbols = html("ul", { class: "symbols" }), attention = html("section", { class: "wide" });
  const states = html("div", {});
  main.append(
    html("form", { class: "controls", "aria-label": "Controls", onsubmit: (event) => event.preventDefault() },
      model.element, source.element, html("datalist", { id: hints }, about.examples.map((one) => html("option", { value: one }))),
      label && label.element, beam.element, best.element, html("p", { class: "note" }, "A beam finds at most as many targets as it is wide."), alpha.element, zero.element),
    html("div", { class: "figures" }, said,
      html("section", { class: "wide" }, html("h2", {}, "What the model reads"), read),
      html("section", { class: "wide" }, html("h2", {}, "Targets, the best first"), targets, fewer, without,
        html("p", { class: "note" }, "The score is the sum of the log probabilities of the symbols, divided by the length to the power of alpha: nearer 0 is more probable. With an alpha of 0, short targets have better scores. log p is the log probability of the whole target: to see what h0 does, compare the two of the same target.")),
      html("section", { class: "wide" }, html("h2", {}, "The chosen target, symbol by symbol"), symbols, html("p", { class: "note" }, "Bars and numbers: the probability of each symbol, given the source and the symbols before it. ⏎ is the end of the target, and ␣ a space.")),
      attention,
      html("section", { class: "wide" }, html("h2", {}, "The bridge: from the encoder's final state to the decoder's h0"),
        html("ul", { class: "legend" }, [["-1 or less", -1], ["0", 0], ["1 or more", 1]].map(([name, value]) => html("li", {}, svg("svg", { viewBox: "0 0 30 12" }, svg("rect", { width: 30, height: 12, ...paint(value) }), svg("rect", { width: 30, height: 12, class: "frame" })), name))), states,
        html("p", { class: "note" }, "h is the hidden state, and c is the memory cell of an LSTM. Change one symbol of the source to see which units of h0 depend on it.")),
      verdict(about)),
  );

  const ask = asker("write", () => ({
    model: model.value(), source: source.value(), label: label ? label.value() : "", beam: beam.value(), n_best: best.value(), alpha: alpha.value(), zero: zero.value(),
  }), (answer) => { found = answer; chosen = 0; draw(); });

  function showModel() {
    said.replaceChildren(...facts(about.facts[model.value()]).childNodes);
  }

  function draw() {
    const unknown = found.symbols.filter((one) => !one.known).length;
    read.replaceChildren(...found.symbols.flatMap((one) => [html("span", { class: one.known ? null : "unknown", title: one.known ? null : "did not occur in training" }, one.symbol === " " ? "␣" : one.symbol), " "]),
      unknown ? html("strong", { class: "remark" }, ` (underlined: ${unknown} not seen in training)`) : "", found.symbols.length ? "" : "Type a source.");
    targets.replaceChildren(html("table", {}, html("thead", {}, html("tr", {}, html("th", {}, "rank"), html("th", {}, "target"), html("th", { class: "number" }, "score"), found.zero && html("th", { class: "number" }, "log p from h0"), found.zero && html("th", { class: "number" }, "log p from h0\u00a0=\u00a00"), html("th", {}, ""))),
      html("tbody", {}, found.targets.map((one, i) => html("tr", {}, html("td", {}, String(i + 1)), html("td", {}, html("button", { type: "button", "aria-pressed": String(i === chosen), onclick: () => { chosen = i; draw(); } }, one.text || "(empty)")),
        html("td", { class: "number" }, one.score.toFixed(3)), found.zero && html("td", { class: "number" }, one.log_probability.toFixed(3)), found.zero && html("td", { class: "number" }, one.log_probability_from_zero.toFixed(3)), html("td", { class: "note" }, one.ended ? "" : "cut"))))));
    const count = found.targets.length;
    fewer.textContent = count && count < best.value() ? `The search found only ${count} different target${count > 1 ? "s" : ""}.` : "";
    without.replaceChildren(...(found.zero ? ["From h0 = 0, the best target is ", html("strong", {}, found.zero.text || "(empty)"), ` (score ${found.zero.score.toFixed(3)}).`] : []));
    const target = found.targets[chosen];
    symbols.replaceChildren(...(target ? target.symbols.map((symbol, i) => {
      const bar = html("span", {});
      bar.style.width = `${100 * target.probabilities[i]}%`;
      return html("li", {}, html("span", {}, symbol === "end" ? "⏎" : symbol === " " ? "␣" : symbol), html("div", { class: "bar", "aria-hidden": "true" }, bar), html("small", {}, chance(target.probabilities[i])));
    }) : []));
    attention.replaceChildren(html("h2", {}, "Attention"), target && target.attention ? weights(target) : html("p", {}, "This model has no attention: the decoder knows the source by its h0 alone."));
    states.replaceChildren(...found.states.map(strip));
  }

  // The attention weights: a row for each symbol of the target, a column for each of the source.
  function weights(target) {
    const cell = 34, left = 40 + 8 * Math.max(...target.symbols.map((one) => one.length)), top = found.columns.some((one) => one.length > 3) ? 80 : 46, columns = found.columns, rows = target.symbols;
    const width = left + columns.length * cell, height = top + rows.length * cell;
    const name = (one) => (one === "end" ? "⏎" : one === " " ? "␣" : one);
    const picture = svg("svg", { class: "heat", viewBox: `0 0 ${width} ${height}`, width, height, role: "img" },
      svg("title", {}, "Attention weights of every symbol of the target over the symbols of the source"),
      svg("text", { x: left + (columns.length * cell) / 2, y: 14, "text-anchor": "middle" }, "source"),
      svg("text", { transform: `translate(12 ${top + (rows.length * cell) / 2}) rotate(-90)`, "text-anchor": "middle" }, "target"),
      columns.map((one, i) => svg("text", { transform: `translate(${left + (i + 0.5) * cell + 4} ${top - 6}) rotate(${name(one).length > 2 ? -45 : 0})`, "text-anchor": name(one).length > 2 ? "start" : "middle" }, name(one))),
      rows.map((one, i) => svg("text", { x: left - 6, y: top + (i + 0.5) * cell + 4, "text-anchor": "end" }, name(one))),
      target.attention.map((row, i) => row.map((weight, j) => svg("g", {}, svg("title", {}, `${rows[i]} reads ${columns[j]}: ${weight.toFixed(2)}`),
        svg("rect", { x: left + j * cell, y: top + i * cell, width: cell - 1, height: cell - 1, class: "fill-1", "fill-opacity": 0.04 + 0.96 * weight }),
        weight >= 0.1 ? svg("text", { x: left + (j + 0.5) * cell, y: top + (i + 0.5) * cell + 4, "text-anchor": "middle", class: weight > 0.55 ? "on-dark" : null }, weight.toFixed(2)) : null))));
    return html("div", {}, html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Attention" }, picture), html("p", { class: "note" }, "The stronger the colour of a cell, the more the symbol of the target reads that of the source. Numbers are given from 0.1. Rows sum to 1."));
  }

  function strip(part) {
    const size = part.values.length;
    return html("div", { class: "control" }, html("div", { class: "label" }, `${part.name} (${size} units)`),
      svg("svg", { class: "heat strip", viewBox: `0 0 ${size} 10`, preserveAspectRatio: "none", role: "img", height: 22 }, svg("title", {}, `${part.name}: ${part.values.slice(0, 8).map(shown).join(", ")} and so on`),
        part.values.map((value, i) => svg("rect", { x: i, y: 0, width: 1.02, height: 10, ...paint(value) })), svg("rect", { x: 0, y: 0, width: size, height: 10, class: "frame", "vector-effect": "non-scaling-stroke" })));
  }

  showModel();
  ask();
}

// Orange below 0 and blue above; the further from 0, the stronger.
const paint = (value) => ({ class: value < 0 ? "fill-2" : "fill-1", "fill-opacity": Math.min(Math.abs(value), 1).toFixed(2) });
