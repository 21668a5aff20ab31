// Controls with labels: each returns { element, value() } and calls `changed` when it is moved.

import { html, newId, shown } from "./dom.js";

export function slider(name, { least, most, step, value, low, high, range }, changed) {
  const id = newId();
  const written = (number) => (step === 1 ? String(Math.round(number)) : shown(number));
  const input = html("input", { type: "range", id, min: least, max: most, step, value });
  const exact = html("input", { type: "number", min: least, max: most, step: "any", value: written(value), "aria-label": `${name}, as a number` });
  input.value = value;
  input.addEventListener("input", () => { exact.value = written(Number(input.value)); changed(); });
  exact.addEventListener("input", () => { if (exact.value !== "") { input.value = exact.value; changed(); } });
  const track = html("div", { class: "track" }, input);
  const children = [html("label", { for: id }, name), html("div", { class: "row" }, track, exact)];
  if (low !== undefined) {
    const mark = html("span", {}), share = (place) => `${(100 * (place - least)) / (most - least)}%`;
    mark.style.left = share(low);
    mark.style.width = `${(100 * (high - low)) / (most - least)}%`;
    track.append(html("div", { class: "range", "aria-hidden": "true" }, mark));
    children.push(html("div", { class: "note" }, `${range}: ${shown(low)} to ${shown(high)}`));
  }
  const element = html("div", { class: "control" }, children);
  return {
    element,
    value: () => {
      const found = Number(exact.value === "" ? input.value : exact.value);
      return low === undefined ? Math.min(Math.max(found, Number(input.min)), Number(input.max)) : found; // a context may lie outside
    },
    set: (next) => { input.value = next; exact.value = written(next); },
    limit: (from, to, by = step) => {
      for (const [part, size] of [[input, by], [exact, "any"]]) Object.assign(part, { min: from, max: to, step: size });
      if (Number(exact.value) > to || Number(exact.value) < from) { input.value = Math.min(Math.max(Number(exact.value), from), to); exact.value = written(Number(input.value)); }
    },
    disable: (off) => { input.disabled = exact.disabled = off; },
  };
}

export function list(name, options, changed, note) {
  const id = newId();
  const input = html("select", { id, onchange: changed }, options.map((one) => html("option", { value: one.value ?? one }, one.text ?? one)));
  return {
    element: html("div", { class: "control" }, html("label", { for: id }, name), input, note && html("div", { class: "note" }, note)),
    value: () => input.value,
    set: (next) => { input.value = next; },
    disable: (off) => { input.disabled = off; },
  };
}

export function check(name, on, changed, note) {
  const input = html("input", { type: "checkbox", onchange: changed });
  input.checked = on;
  return { element: html("label", { class: "check" }, input, html("span", {}, name, note && html("span", { class: "note" }, ` ${note}`))), value: () => input.checked, set: (next) => { input.checked = next; } };
}

export function whole(name, value, least, most, changed) {
  const id = newId();
  const input = html("input", { type: "number", id, min: least, max: most, step: 1, value, oninput: () => input.value !== "" && changed() });
  return { element: html("div", { class: "control" }, html("label", { for: id }, name), input), value: () => Math.min(Math.max(Math.round(Number(input.value)), least), most), set: (next) => { input.value = next; } };
}

export function line(name, value, changed, attributes = {}) {
  const id = newId();
  const input = html("input", { type: "text", id, value, autocomplete: "off", spellcheck: "false", oninput: changed, ...attributes });
  return { element: html("div", { class: "control" }, html("label", { for: id }, name), input), value: () => input.value, set: (next) => { input.value = next; } };
}

// A control for every context field, some of which may be "not known"; `value()` is the context.
export function context(fields, changed) {
  const parts = fields.map((field) => {
    const control = field.kind === "label" ? list(field.name, field.labels, changed) : slider(field.name, field, changed);
    if (!field.unknown) return { field, control, known: () => true };
    const unknown = check("not known", false, () => { control.disable(unknown.value()); changed(); }, "(a learned value then stands for it)");
    control.element.append(unknown.element);
    return { field, control, unknown, known: () => !unknown.value() };
  });
  return {
    elements: parts.map(({ control }) => control.element),
    value: () => Object.fromEntries(parts.map(({ field, control, known }) => [field.name, known() ? control.value() : null])),
    set: (values) => parts.forEach(({ field, control }) => {
      const value = values[field.name];
      if (value !== undefined && value !== null) control.set(field.kind === "label" ? value : Number(value));
    }),
  };
}

// The choice of a model, where a comparison trained several.
export const models = (names, changed) => (names.length > 1 ? list("Initial state (trained model)", names, changed) : { element: null, value: () => names[0] });
