// Texts as they are written: each symbol with its probability, molecules where they can be drawn, and the map of h0.

import { asker, facts, verdict } from "./api.js";
import { check, context, line, models, slider, whole } from "./controls.js";
import { chance, evenly, html, shown } from "./dom.js";
import { map } from "./map.js";

const PAUSE = 60; // milliseconds between symbols that appear

export function start(about, main) {
  let place = null, texts = [], chosen = 0, timer = 0;
  const moved = () => { place = null; ask(); };
  const model = models(about.models, () => { showModel(); moved(); });
  const fields = context(about.fields, moved);
  const temperature = slider("Temperature (1: the model's distribution; 0: the most likely symbol)", { least: 0, most: 2, step: 0.05, value: 1 }, () => ask());
  const among = slider("Top p (draw among the likely symbols only; 1: all)", { least: 0.05, most: 1, step: 0.05, value: 1 }, () => ask());
  const seed = whole("Seed", 0, 0, 2 ** 31, () => ask());
  const prefix = line("Texts begin with", "", () => ask());
  const count = slider("Texts", { least: 1, most: 30, step: 1, value: 8 }, () => ask());
  const zero = check("also from h0 = 0, with the same random numbers", true, () => ask());
  const said = html("div", { class: "facts" });
  const symbols = html("ul", { class: "symbols" }), inspected = html("div", { class: "note", "aria-live": "polite" });
  const from = html("div", { class: "scroll" }), without = html("div", { class: "scroll" });
  const withoutPart = html("section", {}, html("h2", {}, "Texts from h0 = 0, with the same random numbers"), without);
  const molecules = html("div", { class: "molecules" });
  const plane = map(about.fields, (next) => { place = next; ask(); }, (values) => { fields.set(values); moved(); });
  const heading = html("h2", {}, "Texts");
  main.append(
    html("form", { class: "controls", "aria-label": "Controls", onsubmit: (event) => event.preventDefault() },
      html("h2", {}, about.fields.length ? "What is known about the text" : "Sampling"),
      model.element, fields.elements, temperature.element, among.element, seed.element, prefix.element, count.element, zero.element),
    html("div", { class: "figures" }, said,
      html("section", { class: "wide near" }, html("h2", {}, "One text, symbol by symbol"), symbols,
        html("p", { class: "note" }, "Bars and numbers: the probability of each symbol, given those before it. ⏎ is the end of the text, and ␣ a space. Choose a symbol to see what else was likely there."), inspected),
      html("section", {}, heading, html("p", { class: "note" }, "Choose a text to see its symbols. Nats: the negative natural logarithm of the probability of the whole text. In each row, the smaller number belongs to the h0 from which the text is more probable. Longer texts have more nats."), from), withoutPart,
      about.molecules && html("section", { class: "wide" }, html("h2", {}, "Molecules"), molecules),
      plane.element,
      verdict(about)),
  );

  const ask = asker("write", () => ({
    model: model.value(), context: fields.value(), temperature: temperature.value(), top_p: among.value(), seed: seed.value(),
    prefix: prefix.value(), n: count.value(), zero: zero.value(), place, steps: about.longest,
  }), draw);

  function showModel() {
    said.replaceChildren(...facts(about.facts[model.value()]).childNodes);
    plane.show(about.maps[model.value()]);
  }

  function draw(found) {
    texts = found.texts;
    chosen = Math.min(chosen, texts.length - 1);
    heading.textContent = place ? "Texts from the chosen h0" : "Texts from h0";
    const own = place ? "the chosen h0" : "h0", choose = (one, i) => html("button", { type: "button", "aria-pressed": String(i === chosen), onclick: () => inspect(i) }, one.text || "(empty)");
    from.replaceChildren(table(texts, choose, (one) => [one.nats, ...one.nats_of_others], own));
    withoutPart.hidden = !found.zero;
    if (found.zero) without.replaceChildren(table(found.zero, (one) => one.text || "(empty)", (one) => [one.nats_of_others[0], one.nats], own));
    if (about.molecules) molecules.replaceChildren(...texts.map(molecule));
    plane.mark(found.here);
    write(texts[chosen]);
  }

  // A row for each text, with its nats from h0 and, if there are any, those from h0 = 0.
  function table(rows, first, natsOf, own) {
    const nats = rows.map(natsOf), written = evenly(nats);
    return html("table", { class: "texts" },
      html("thead", {}, html("tr", {}, html("th", {}, "text"), [own, "h0\u00a0=\u00a00"].slice(0, Math.max(...nats.map((one) => one.length))).map((one) => html("th", { class: "number" }, `nats from ${one}`)), html("th", {}))),
      html("tbody", {}, rows.map((one, i) => html("tr", {}, html("td", {}, first(one, i)), nats[i].map((value) => html("td", { class: "number" }, written(value))), html("td", { class: "note" }, one.ended ? "" : "not ended")))));
  }

  function inspect(i) {
    chosen = i;
    [...from.querySelectorAll("button")].forEach((one, j) => one.setAttribute("aria-pressed", String(i === j)));
    write(texts[i]);
  }

  // Symbols appear one after the other, as they were drawn.
  function write(text) {
    clearInterval(timer);
    inspected.textContent = "";
    const parts = text.symbols.map((symbol, i) => {
      const bar = html("span", {}), likely = text.probabilities[i];
      bar.style.width = `${100 * likely}%`;
      const name = symbol === "end" && i === text.symbols.length - 1 && text.ended ? "⏎" : symbol === " " ? "␣" : symbol;
      return html("li", {}, html("button", { type: "button", "aria-label": `${symbol}, probability ${shown(likely)}`, onclick: () => alternatives(text, i) }, name),
        html("div", { class: "bar", "aria-hidden": "true" }, bar), html("small", {}, i < text.given ? "given" : chance(likely)));
    });
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      symbols.replaceChildren(...parts);
      return;
    }
    parts.forEach((one) => { one.style.visibility = "hidden"; });
    symbols.replaceChildren(...parts);
    let next = 0;
    timer = setInterval(() => {
      if (next < parts.length) parts[next].style.visibility = "visible";
      else clearInterval(timer);
      next += 1;
    }, PAUSE);
  }

  function alternatives(text, i) {
    const rows = text.alternatives[i].map(([symbol, likely]) => html("tr", {}, html("td", {}, symbol === " " ? "␣" : symbol), html("td", { class: "number" }, likely.toFixed(3))));
    inspected.replaceChildren(html("p", {}, `Most likely as symbol ${i + 1}, where ${text.symbols[i] === " " ? "a space" : text.symbols[i]} was drawn:`), html("table", {}, html("thead", {}, html("tr", {}, html("th", {}, "symbol"), html("th", { class: "number" }, "probability"))), html("tbody", {}, rows)));
  }

  function molecule(one) {
    const known = Object.entries(one.properties).map(([name, value]) => `${name} ${shown(value)}`).join(", ");
    const picture = one.formula ? new DOMParser().parseFromString(one.formula, "image/svg+xml").documentElement : html("p", {}, "no valid molecule");
    if (one.formula) { picture.setAttribute("role", "img"); picture.setAttribute("aria-label", one.text); }
    return html("figure", {}, picture, html("figcaption", {}, known || one.text));
  }

  showModel();
  ask();
}
