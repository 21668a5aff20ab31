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

// The number of decimals with which numbers as large as this one have four significant digits.
const decimals = (largest) => Math.min(Math.max(3 - Math.floor(Math.log10(largest)), 0), 10);

// A function that writes numbers with equally many decimals, of which the largest, or `spread`, has four significant digits.
export function evenly(values, spread) {
  const largest = spread || Math.max(...values.flat(Infinity).filter((one) => Number.isFinite(one)).map(Math.abs), 0);
  if (!(largest >= 1e-6 && largest < 1e9)) return shown;
  return (value) => (value === null || value === undefined ? "–" : value.toFixed(decimals(largest)));
}

// A probability with two decimals.
export const chance = (value) => (value > 0 && value < 0.005 ? "<0.01" : value.toFixed(2));

export const named = (context) => Object.entries(context).map(([name, value]) => `${name} ${value}`).join(", ");
