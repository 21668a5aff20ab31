// Calls of the server. Of several calls that wait, only the latest is made, and late answers to earlier ones are dropped.

import { html } from "./dom.js";

export function say(sentence) {
  const place = document.getElementById("error");
  place.textContent = sentence;
  place.hidden = !sentence;
}

async function post(name, body) {
  const answer = await fetch(`/api/${name}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// A function that asks for `body()` and draws the answer; it is called as often as controls move.
export function asker(name, body, draw) {
  let waiting = false, running = false;
  const main = document.getElementById("main");
  return async function ask() {
    waiting = true;
    if (running) return;
    running = true;
    main.setAttribute("aria-busy", "true");
    while (waiting) {
      waiting = false;
      const started = performance.now();
      try {
        const found = await post(name, body());
        if (waiting) continue;
        say((found.remarks || []).join(" "));
        draw(found);
        main.dataset.answers = Number(main.dataset.answers || 0) + 1;
        requestAnimationFrame(() => setTimeout(() => { main.dataset.took = (performance.now() - started).toFixed(1); })); // the frame is painted
      } catch (error) {
        if (!waiting) say(error instanceof TypeError ? "The server does not answer; is the command still running?" : error.message);
      }
    }
    running = false;
    main.setAttribute("aria-busy", "false");
  };
}

export async function describe() {
  const answer = await fetch("/api/page");
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

export const facts = (sentences) => html("div", { class: "facts" }, sentences.map((one) => html("p", {}, one)));

// What a comparison found: the answer, what it is about, and every sentence behind it.
export function verdict(about) {
  if (!about.verdict) return null;
  const [answer, ...more] = about.verdict.split("\n");
  return html("section", {}, html("h2", {}, "What the comparison found"), html("p", {}, answer),
    html("p", { class: "note" }, "The answer is about the two kinds of h0 that it names, over all series or texts of the test and all seeds. Every comparison is below. The pictures show the models of the first seed alone."),
    more.length > 0 && html("details", {}, html("summary", {}, "Every comparison"), html("pre", { class: "verdict" }, more.join("\n"))));
}
