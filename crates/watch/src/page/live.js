"use strict";
// Keeps a served page up to date: asks for the version of the run's page, and loads the page anew where it is another one.
// What is chosen, and where one reads, stays.
(() => {
  const SEEN = "VERSION", SECONDS = 3;
  const byId = (id) => document.getElementById(id);
  const place = `vigos watch ${location.pathname}`;
  const controls = () => [...document.querySelectorAll("main select[id], main input[id]")];
  let paused = false;

  const status = document.createElement("span");
  status.className = "muted";
  status.setAttribute("role", "status");
  status.textContent = "live";
  const pause = document.createElement("button");
  pause.type = "button";
  pause.className = "quiet";
  pause.textContent = "Pause";
  pause.setAttribute("aria-pressed", "false");
  pause.addEventListener("click", () => setPaused(!paused));
  const all = document.createElement("a");
  all.href = "/";
  all.textContent = "All runs";
  byId("theme").before(all, status, pause);

  function setPaused(on) {
    paused = on;
    pause.setAttribute("aria-pressed", String(on));
    status.textContent = on ? "paused" : "live";
  }

  // What someone is in the middle of is not interrupted.
  function busy() {
    const selection = getSelection();
    return document.hidden || document.querySelector("dialog[open]") || (selection && !selection.isCollapsed);
  }

  // An entry of the list by its line and its step.
  const named = (entry) => `${entry.dataset.row} ${entry.querySelector(".of-step").textContent}`;

  function keep() {
    const step = byId("step");
    const picked = document.querySelector("#list [aria-selected=true]");
    sessionStorage.setItem(place, JSON.stringify({
      theme: document.documentElement.dataset.theme,
      scroll: scrollY,
      focus: document.activeElement && document.activeElement.id,
      controls: controls().filter((node) => !["step", "other"].includes(node.id)).map((node) => [node.id, node.type === "checkbox" ? node.checked : node.value]),
      step: step && step.value !== step.max ? byId("step-now").textContent : null,
      picked: picked && named(picked),
      open: [...document.querySelectorAll("main details")].map((node) => node.open),
    }));
  }

  function restore() {
    const kept = JSON.parse(sessionStorage.getItem(place) || "null");
    sessionStorage.removeItem(place);
    if (!kept) return;
    if (kept.theme !== document.documentElement.dataset.theme) byId("theme").click();
    for (const [id, value] of kept.controls) {
      const node = byId(id);
      if (!node) continue;
      const before = node.type === "checkbox" ? node.checked : node.value;
      if (before === value) continue;
      if (node.type === "checkbox") node.checked = value;
      else node.value = value;
      node.dispatchEvent(new Event(node.type === "search" ? "input" : "change"));
    }
    const step = byId("step");
    if (kept.step !== null && step) {
      const data = JSON.parse(byId("data").textContent);
      const run = data.runs[Number(byId("run").value)];
      const steps = [...new Set(run.rollouts.map((rollout) => rollout.step))].sort((a, b) => a - b);
      const at = steps.indexOf(Number(kept.step));
      if (at >= 0) { step.value = at; step.dispatchEvent(new Event("input")); }
    }
    const picked = kept.picked && [...document.querySelectorAll("#list .entry")].find((entry) => named(entry) === kept.picked);
    if (picked) picked.click();
    [...document.querySelectorAll("main details")].forEach((node, at) => { node.open = Boolean(kept.open[at]); });
    const focus = kept.focus && byId(kept.focus);
    if (focus) focus.focus({ preventScroll: true });
    scrollTo({ top: kept.scroll, behavior: "instant" });
  }

  async function look() {
    if (paused || busy()) return;
    try {
      const answer = await fetch(`${location.pathname}/version`, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const version = await answer.text();
      if (paused || busy()) return;
      status.textContent = "live";
      if (version !== SEEN) { keep(); location.reload(); }
    } catch {
      status.textContent = "the run's server does not answer";
    }
  }

  restore();
  setInterval(look, SECONDS * 1000);
})();
