// The page: its title, its theme, and the script of the job.

import { describe, say } from "./api.js";

const root = document.documentElement, button = document.getElementById("theme");
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function showTheme() {
  button.textContent = isDark() ? "Light theme" : "Dark theme";
}

button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
showTheme();

try {
  const about = await describe();
  document.getElementById("title").textContent = about.job;
  document.getElementById("name").textContent = about.name;
  document.title = `${about.job}: ${about.name}`;
  const job = await import(`./${about.script}.js`);
  job.start(about, document.getElementById("main"));
} catch (error) {
  say(error instanceof TypeError ? "The server does not answer; is the command still running?" : error.message);
  throw error;
}
