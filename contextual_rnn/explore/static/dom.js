// Elements of the page, made from their names, attributes and children.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const html = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

let last = 0;
export const newId = () => `id-${++last}`;

// A number with four significant digits.
export function shown(value) {
  if (value === null || value === undefined) return "–";
  return String(Number(value.toPrecision(4)));
}

export const named = (context) => Object.entries(context).map(([name, value]) => `${name} ${value}`).join(", ");
