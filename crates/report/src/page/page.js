"use strict";
// Draws curves, rollouts and items from the data in this page. Every text is set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const svgNames = "http://www.w3.org/2000/svg";

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  }

  function draw(tag, attributes, ...children) {
    const node = document.createElementNS(svgNames, tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function short(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
    if (size >= 100) return value.toFixed(0);
    return String(Number(value.toPrecision(4)));
  }

  const percent = (log) => {
    if (log === null || log === undefined) return "–";
    const share = 100 * Math.exp(log);
    return share >= 0.1 ? `${share.toFixed(1)}\u00a0%` : share >= 0.01 ? `${share.toFixed(2)}\u00a0%` : "<\u00a00.01\u00a0%";
  };

  // Theme: what the system says, until someone says otherwise; paper is light.
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  function paint(theme) {
    root.dataset.theme = theme;
    byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  }
  paint(system.matches ? "dark" : "light");
  system.addEventListener("change", () => paint(system.matches ? "dark" : "light"));
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => paint(root.dataset.theme === "dark" ? "light" : "dark"));
  let beforePrint = "light";
  addEventListener("beforeprint", () => { beforePrint = root.dataset.theme; paint("light"); });
  addEventListener("afterprint", () => paint(beforePrint));

  // ---- Curves ----------------------------------------------------------------------------------------------------

  const WIDTH = 480, HEIGHT = 230, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 26;
  const shownRuns = new Set(data.runs.map((_, index) => index));
  const charts = [];

  // The round distance of about so many marks between two values.
  function distance(low, high, count) {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw * 0.999);
  }

  function ticks(low, high, count) {
    const step = distance(low, high, count);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Number(at.toPrecision(12)));
    return found;
  }

  class Chart {
    constructor(spec) {
      this.spec = spec;
      this.log = false;
      this.at = null;
      this.svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0" });
      this.readout = make("p", { class: "readout", "aria-live": "polite" });
      this.keys = make("ul", { class: "keys" });
      this.button = make("button", { type: "button", "aria-pressed": "false", onclick: () => this.setLog(!this.log) }, "log");
      const unit = spec.unit ? make("span", { class: "muted" }, ` ${spec.unit}`) : null;
      this.figure = make("figure", {},
        make("div", { class: "chart-head" }, make("h3", {}, spec.title, unit), this.button),
        this.svg, this.keys, this.readout,
        spec.about ? make("p", { class: "about" }, spec.about) : null);
      this.button.setAttribute("aria-label", `Log scale for ${spec.title}`);
      this.svg.addEventListener("pointermove", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => this.read(null));
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.svg.addEventListener("blur", () => this.read(null));
    }

    setLog(on) {
      this.log = on && this.positive();
      this.button.setAttribute("aria-pressed", String(this.log));
      this.redraw();
    }

    positive() {
      return this.lines().some((line) => line.series.mean.some((value) => value > 0));
    }

    // Every line of every run that is shown. One run: a colour a line. Several: a colour a run, a dash a line.
    lines() {
      const lines = [];
      const several = data.runs.length > 1;
      data.runs.forEach((run, index) => {
        if (!shownRuns.has(index)) return;
        this.spec.lines.forEach(([name, label], order) => {
          const series = run.series[name];
          if (!series) return;
          const colour = `c${(several ? index : order) % 6}`;
          const dash = several ? `dash${order % 4}` : `dash${Math.floor(order / 6) % 4}`;
          lines.push({ run, series, colour, dash, label: several ? `${run.name}: ${label}` : label });
        });
      });
      return lines;
    }

    redraw() {
      const lines = this.lines();
      this.drawn = lines;
      const usable = (value) => value !== null && (!this.log || value > 0);
      let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
      for (const { run, series } of lines) {
        run.steps.forEach((step, i) => {
          for (const value of [series.mean[i], series.low && series.low[i], series.high && series.high[i]]) {
            if (value === undefined || !usable(value)) continue;
            x0 = Math.min(x0, step); x1 = Math.max(x1, step);
            y0 = Math.min(y0, value); y1 = Math.max(y1, value);
          }
        });
      }
      this.svg.replaceChildren();
      this.keys.replaceChildren();
      if (x0 > x1) { this.svg.setAttribute("aria-label", `${this.spec.title}: no values`); return; }
      if (!this.log && y0 > 0 && y0 < 0.6 * y1) y0 = 0;
      if (y0 === 0 && y1 === 0) y1 = 1;
      if (y0 === y1) { const pad = Math.abs(y0) * 0.1 || 1; y0 -= this.log ? 0 : pad; y1 += pad; }
      if (!this.log) {
        const step = distance(y0, y1, 4);
        y0 = Math.floor(y0 / step + 1e-9) * step;
        y1 = Math.ceil(y1 / step - 1e-9) * step;
      }
      if (x0 === x1) { x0 -= 1; x1 += 1; }
      const fit = this.log ? Math.log10 : (value) => value;
      const [low, high] = [fit(y0), fit(y1)];
      this.x = (step) => LEFT + (step - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
      this.y = (value) => HEIGHT - BOTTOM - (fit(value) - low) / (high - low || 1) * (HEIGHT - TOP - BOTTOM);
      const levels = this.log
        ? Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => 10 ** (Math.ceil(low) + i)).concat([y0, y1])
        : ticks(y0, y1, 4);
      for (const level of levels.slice(-9)) {
        const y = this.y(level);
        this.svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }),
          draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, short(level)));
      }
      for (const step of ticks(x0, x1, 5).filter(Number.isInteger)) {
        this.svg.append(draw("text", { x: this.x(step), y: HEIGHT - 8, "text-anchor": "middle" }, String(step)));
      }
      for (const { run, series, colour, dash, label } of lines) {
        if (series.low) {
          const upper = [], lower = [];
          run.steps.forEach((step, i) => {
            if (!usable(series.low[i])) return;
            upper.push(`${this.x(step).toFixed(1)},${this.y(series.high[i]).toFixed(1)}`);
            lower.unshift(`${this.x(step).toFixed(1)},${this.y(series.low[i]).toFixed(1)}`);
          });
          this.svg.append(draw("polygon", { class: `band ${colour}`, points: upper.concat(lower).join(" ") }));
        }
        let path = "", pen = "M";
        run.steps.forEach((step, i) => {
          if (!usable(series.mean[i])) { pen = "M"; return; }
          path += `${pen}${this.x(step).toFixed(1)} ${this.y(series.mean[i]).toFixed(1)}`;
          pen = "L";
        });
        this.svg.append(draw("path", { class: `curve ${colour} ${dash}`, d: path }));
        if (lines.length > 1) {
          const sample = draw("svg", { viewBox: "0 0 34 10", "aria-hidden": "true" },
            draw("path", { class: `curve ${colour} ${dash}`, d: "M1 5L33 5" }));
          this.keys.append(make("li", {}, sample, label));
        }
      }
      this.cross = draw("g", {});
      this.svg.append(this.cross);
      this.steps = [...new Set(lines.flatMap(({ run }) => run.steps))].sort((a, b) => a - b);
      const ends = lines.map(({ series, label }) => {
        const known = series.mean.filter((value) => value !== null);
        return `${label} from ${short(known[0])} to ${short(known[known.length - 1])}`;
      });
      this.svg.setAttribute("aria-label", `${this.spec.title}. ${ends.join("; ")}. Arrow keys read values.`);
    }

    point(event) {
      if (!this.steps || !this.x) return;
      const box = this.svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * WIDTH;
      let [low, high] = [0, this.steps.length - 1];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (this.x(this.steps[middle]) < x) low = middle; else high = middle;
      }
      this.read(Math.abs(this.x(this.steps[low]) - x) < Math.abs(this.x(this.steps[high]) - x) ? low : high);
    }

    key(event) {
      if (!this.steps) return;
      const last = this.steps.length - 1;
      const at = this.at === null ? (event.key === "ArrowLeft" ? last + 1 : -1) : this.at;
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.read(Math.min(last, Math.max(0, moves[event.key])));
    }

    read(at) {
      this.at = at;
      if (!this.cross) return;
      this.cross.replaceChildren();
      if (at === null) { this.readout.textContent = ""; return; }
      const step = this.steps[at];
      this.cross.append(draw("line", { class: "cross", x1: this.x(step), x2: this.x(step), y1: TOP, y2: HEIGHT - BOTTOM }));
      const said = [];
      for (const { run, series, colour, label } of this.drawn) {
        const i = run.steps.indexOf(step);
        const value = i < 0 ? null : series.mean[i];
        if (value === null) continue;
        const range = series.low ? ` (${short(series.low[i])} to ${short(series.high[i])})` : "";
        said.push(`${label} ${short(value)}${range}`);
        if (!this.log || value > 0) this.cross.append(draw("circle", { class: `dot ${colour}`, cx: this.x(step), cy: this.y(value), r: 4 }));
      }
      this.readout.textContent = `step ${short(step)}: ${said.join(", ")}`;
    }
  }

  if (byId("charts")) {
    for (const spec of data.charts) {
      const chart = new Chart(spec);
      charts.push(chart);
      byId("charts").append(chart.figure);
      chart.redraw();
    }
    byId("log-all").addEventListener("change", (event) => charts.forEach((chart) => chart.setLog(event.target.checked)));
    if (data.runs.length > 1) {
      data.runs.forEach((run, index) => {
        const box = make("input", { type: "checkbox", checked: true, onchange: (event) => {
          if (event.target.checked) shownRuns.add(index); else shownRuns.delete(index);
          charts.forEach((chart) => chart.redraw());
        } });
        const sample = draw("svg", { viewBox: "0 0 34 10", width: 28, height: 8, "aria-hidden": "true" },
          draw("path", { class: `curve c${index % 6}`, d: "M1 5L33 5" }));
        byId("run-switches").append(make("label", {}, box, sample, run.name));
      });
    }
  }

  // ---- Tokens ----------------------------------------------------------------------------------------------------

  const SPANS = { d: "description", r: "reasoning", a: "answer", "-": "no part" };
  const visible = (piece) => piece.replace(/\n/g, "⏎\n").replace(/\t/g, "⇥");

  // What is known of each token: its supervisions by place.
  function supervision(rollout) {
    if (rollout.places) return rollout.places;
    const places = rollout.tokens.ids.map(() => []);
    rollout.supervised.forEach((taught) => taught.positions.forEach((position, index) => {
      if (places[position]) places[position].push({ taught, index });
    }));
    Object.defineProperty(rollout, "places", { value: places, enumerable: false });
    return places;
  }

  const divergence = (rollout, at) => supervision(rollout)[at].reduce((sum, { taught, index }) => sum + (taught.kl[index] || 0), 0);
  const isClipped = (rollout, at) => supervision(rollout)[at].some(({ taught, index }) => taught.clipped[index] === "1");

  function measure(rollout) {
    if (rollout.sums) return rollout.sums;
    let [kl, clipped, taught] = [0, 0, 0];
    rollout.supervised.forEach((one) => one.kl.forEach((value, index) => {
      kl += value || 0; taught += 1; clipped += one.clipped[index] === "1" ? 1 : 0;
    }));
    const sums = { kl: taught ? kl / taught : 0, clipped: taught ? clipped / taught : 0, taught };
    Object.defineProperty(rollout, "sums", { value: sums, enumerable: false });
    return sums;
  }

  const SHADES = {
    kl: (rollout, at) => (supervision(rollout)[at].length ? Math.sqrt(Math.min(1, divergence(rollout, at) / 2)) : 0),
    surprise: (rollout, at) => Math.sqrt(Math.min(1, -(rollout.tokens.logprob[at] || 0) / 6)),
    entropy: (rollout, at) => Math.min(1, (rollout.tokens.entropy[at] || 0) / 4),
  };
  const heat = (strength, name) => `rgba(var(--${name || "heat"}), ${(0.5 * strength).toFixed(3)})`;

  let panes = 0;

  class Pane {
    constructor(run, rollout, shade) {
      this.run = run;
      this.rollout = rollout;
      this.shade = shade;
      this.id = `pane${panes++}`;
      this.picked = -1;
      const badge = (kind, text) => make("span", { class: `badge ${kind}` }, text);
      const text = (index) => data.texts[index] || "";
      const sums = measure(rollout);
      this.node = make("article", { class: "pane" },
        make("h3", {}, `${rollout.id}`),
        make("p", { class: "muted" }, `${data.runs.length > 1 ? run.name + ", " : ""}step ${rollout.step}, ${rollout.length} tokens`,
          rollout.finish === "length" ? ", cut off" : "", sums.taught ? `, mean divergence ${short(sums.kl)}, ${(100 * sums.clipped).toFixed(0)} % clipped` : ""),
        make("p", {},
          rollout.valid ? badge("yes", "valid format") : badge("no", `invalid: ${(rollout.reason || "format").replace(/_/g, " ")}`),
          rollout.correct ? badge("yes", "agrees with the reference") : badge("no", "does not agree")),
        make("div", { class: "asked" },
          rollout.images.length ? make("div", { class: "pictures" }, rollout.images.map((picture, index) => this.picture(data.pictures[picture], index))) : null,
          make("div", {},
            make("p", { class: "label" }, "Question"), make("p", { class: "text" }, text(rollout.problem)),
            make("p", { class: "label" }, "Reference"), make("p", { class: "text" }, rollout.answer),
            make("p", { class: "label" }, "Answered"), make("p", { class: "text" }, rollout.predicted === null ? "nothing in a box" : rollout.predicted))),
        make("p", { class: "label", id: `${this.id}-label` }, "Completion"),
        this.completion(),
        ...rollout.prompts.map((prompt) => make("details", {},
          make("summary", {}, `Prompt of ${prompt.role === "student" ? "the student" : "the " + prompt.role + " teacher"}`),
          make("pre", { class: "prompt", tabindex: "0" }, text(prompt.text)))));
    }

    picture(source, index) {
      const what = `Image ${index + 1} of ${this.rollout.id}, as the model sees it`;
      return make("button", { type: "button", class: "thumb", "aria-label": `Enlarge: ${what}`, onclick: () => {
        byId("zoom-image").src = source;
        byId("zoom-image").alt = what;
        byId("zoom").showModal();
      } }, make("img", { src: source, alt: what }));
    }

    completion() {
      const { rollout } = this;
      if (rollout.completion !== null) {
        return make("div", {}, make("pre", { class: "tokens text", tabindex: "0" }, rollout.completion),
          make("p", { class: "muted" }, "The tokens of this run were not recorded."));
      }
      this.tokens = make("div", { class: "tokens", role: "listbox", tabindex: "0", "aria-orientation": "horizontal",
        "aria-labelledby": `${this.id}-label`, "aria-describedby": `${this.id}-hint` });
      const parts = document.createDocumentFragment();
      rollout.tokens.pieces.forEach((piece, at) => {
        const span = rollout.tokens.spans[at] || "-";
        const node = document.createElement("span");
        node.className = `token ${span === "-" ? "o" : span}${isClipped(rollout, at) ? " clipped" : ""}`;
        node.id = `${this.id}-${at}`;
        node.setAttribute("role", "option");
        node.setAttribute("aria-selected", "false");
        node.dataset.at = at;
        node.textContent = visible(piece) || "∅";
        parts.append(node);
      });
      this.tokens.append(parts);
      if (rollout.length > rollout.tokens.ids.length) {
        this.tokens.append(make("span", { class: "mark" }, ` … ${rollout.length - rollout.tokens.ids.length} more tokens were not recorded`));
      }
      this.paint(this.shade);
      this.tokens.addEventListener("click", (event) => {
        const token = event.target.closest(".token");
        if (token) this.pick(Number(token.dataset.at));
      });
      this.tokens.addEventListener("keydown", (event) => this.key(event));
      this.detail = make("div", { class: "detail", "aria-live": "polite" },
        make("p", { class: "muted", id: `${this.id}-hint` }, "Click a token, or focus the text and press the arrow keys, to see what student and teacher say of it."));
      return make("div", {}, this.tokens, this.detail);
    }

    paint(shade) {
      if (!this.tokens) return;
      this.shade = shade;
      for (const node of this.tokens.children) {
        if (!node.dataset.at) continue;
        const strength = SHADES[shade](this.rollout, Number(node.dataset.at));
        node.style.background = strength > 0.02 ? heat(strength) : "";
      }
    }

    key(event) {
      const last = this.rollout.tokens.ids.length - 1;
      const moves = { ArrowLeft: this.picked - 1, ArrowRight: this.picked + 1, ArrowUp: this.picked - 10, ArrowDown: this.picked + 10, Home: 0, End: last };
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.pick(Math.min(last, Math.max(0, moves[event.key])));
    }

    pick(at) {
      const node = this.tokens.querySelector(`[data-at="${at}"]`);
      if (!node) return;
      const before = this.tokens.querySelector(".picked");
      if (before) { before.classList.remove("picked"); before.setAttribute("aria-selected", "false"); }
      node.classList.add("picked");
      node.setAttribute("aria-selected", "true");
      this.tokens.setAttribute("aria-activedescendant", node.id);
      if (node.offsetTop < this.tokens.scrollTop || node.offsetTop + 30 > this.tokens.scrollTop + this.tokens.clientHeight) {
        this.tokens.scrollTop = node.offsetTop - this.tokens.clientHeight / 2;
      }
      this.picked = at;
      this.describe(at);
    }

    describe(at) {
      const { rollout } = this;
      const { tokens } = rollout;
      const taught = supervision(rollout)[at];
      const cell = (tag, text) => make(tag, {}, text);
      const known = (column, index) => (column.length > index && column[index] !== null ? short(column[index]) : "–");
      const readers = [{ name: "student", from: tokens, index: at }].concat(taught.map(({ taught: one, index }) => ({ name: one.teacher, from: one, index })));
      const row = (name, of) => make("tr", {}, make("th", { scope: "row" }, name), readers.map((reader) => make("td", {}, of(reader))));
      const table = make("table", { class: "numbers" },
        make("thead", {}, make("tr", {}, cell("th", ""), readers.map((reader) => make("th", { scope: "col" }, reader.name)))),
        make("tbody", {},
          row("probability", ({ from, index }) => percent(from.logprob[index])),
          row("log-probability, nats", ({ from, index }) => known(from.logprob, index)),
          row("rank", ({ from, index }) => known(from.rank, index)),
          row("entropy, nats", ({ from, index }) => known(from.entropy, index)),
          taught.length ? row("divergence, nats", ({ from, index }) => (from.kl ? known(from.kl, index) : "")) : null,
          taught.length ? row("above its clip", ({ from, index }) => (from.kl ? (from.clipped[index] === "1" ? "yes: no gradient" : "no") : "")) : null));
      const why = taught.map(({ taught: one }) => {
        const when = { valid: "valid rollouts", invalid: "invalid rollouts", always: "all rollouts" }[one.when] || one.when;
        const of = one.of.map((span) => ({ description: "the description", reasoning_answer: "reasoning and answer", completion: "every token" }[span] || span)).join(" and ");
        const way = { forward: "KL(teacher‖student)", reverse: "KL(student‖teacher)" }[one.divergence] || one.divergence;
        return make("p", {}, `${one.teacher} teaches it: it supervises ${of} of ${when}, is shown ${one.context.join(", ")}, by ${way}, weight ${one.weight}.`);
      });
      const reason = why.length ? why : [make("p", {}, rollout.valid ? "Nobody teaches it: delimiters and what stands between the parts belong to no span." : "Nobody teaches it.")];
      const tops = readers.filter(({ from, index }) => from.top.length > index).map((reader) => this.top(reader, at));
      this.detail.replaceChildren(
        make("h4", {}, "“", make("span", { class: "token" }, visible(tokens.pieces[at])), `” at position ${at} of ${rollout.length} tokens, id ${tokens.ids[at]}, ${SPANS[tokens.spans[at]] || SPANS["-"]}`),
        ...reason, table,
        tops.length ? make("div", { class: "tops" }, tops) : make("p", { class: "muted" }, "Most probable tokens were not recorded; log.record.top_k asks for them."));
    }

    top({ name, from, index }, at) {
      const { ids, logprobs } = from.top[index];
      const items = ids.map((id, order) => {
        const share = Math.exp(logprobs[order] ?? -Infinity);
        const own = id === this.rollout.tokens.ids[at];
        return make("li", { class: own ? "own" : null },
          make("span", { class: "token" }, visible(this.piece(id)), own ? make("span", { class: "mark" }, " ◂ sampled") : null),
          draw("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
            draw("rect", { class: "rail", width: 100, height: 8 }), draw("rect", { class: "fill", width: (100 * share).toFixed(1), height: 8 })),
          make("span", { class: "value" }, percent(logprobs[order])));
      });
      return make("div", {}, make("h4", {}, `${name}: most probable`), make("ol", {}, items));
    }

    piece(id) {
      const { tokens, texts } = this.rollout;
      const own = tokens.ids.indexOf(id);
      return own >= 0 ? tokens.pieces[own] : texts[id] ?? `#${id}`;
    }
  }

  // ---- Rollouts --------------------------------------------------------------------------------------------------

  function options(select, values, label) {
    select.replaceChildren(...values.map((value) => make("option", { value }, label ? label(value) : value)));
  }

  if (byId("list")) {
    const controls = Object.fromEntries(["step", "all-steps", "run", "format", "answer", "kind", "teacher", "order", "search", "other", "shade"].map((id) => [id, byId(id)]));
    const all = data.runs.flatMap((run, index) => run.rollouts.map((rollout) => ({ run, index, rollout })));
    const withRollouts = data.runs.map((run, index) => ({ run, index })).filter(({ run }) => run.rollouts.length);
    const LINES = 60;
    let shown = [], first = 0, picked = null, selected = null, here = null, there = null, steps = [];

    controls.run.replaceChildren(...withRollouts.map(({ run, index }) => make("option", { value: index }, run.name)));
    byId("run-label").hidden = withRollouts.length < 2;
    const unique = (values) => [...new Set(values)].sort();
    const reasons = unique(all.filter(({ rollout }) => !rollout.valid).map(({ rollout }) => rollout.reason || ""));
    options(controls.format, ["", "valid", "invalid", ...reasons.filter(Boolean).map((reason) => `!${reason}`)],
      (value) => ({ "": "any", valid: "valid", invalid: "invalid, any reason" }[value] || `invalid: ${value.slice(1).replace(/_/g, " ")}`));
    const kinds = unique(all.map(({ rollout }) => rollout.kind || "").filter(Boolean));
    options(controls.kind, ["", ...kinds], (value) => value || "any");
    byId("kind-label").hidden = !kinds.length;
    options(controls.teacher, ["", ...unique(all.flatMap(({ rollout }) => rollout.supervised.map((one) => one.teacher)))], (value) => value || "any");

    function legend() {
      const swatch = (kind, text) => make("span", {}, make("span", { class: `token swatch ${kind}` }, "abc"), ` ${text}`);
      const scale = make("span", { class: "scale", "aria-hidden": "true" }, [0, 0.25, 0.5, 0.75, 1].map((strength) => {
        const box = make("span", {});
        box.style.background = heat(strength);
        return box;
      }));
      byId("legend").replaceChildren(swatch("d", "description"), swatch("r", "reasoning"), swatch("a", "answer"), swatch("o", "no part"),
        swatch("clipped", "above its clip"), make("span", {}, "little ", scale, " much"));
    }

    function setSteps() {
      const run = data.runs[Number(controls.run.value)];
      steps = [...new Set(run.rollouts.map((rollout) => rollout.step))].sort((a, b) => a - b);
      controls.step.max = Math.max(0, steps.length - 1);
      controls.step.value = steps.length - 1;
    }

    // All that is searched of an entry, once.
    function searched(entry) {
      const { rollout } = entry;
      const parts = () => [rollout.id, data.texts[rollout.problem], rollout.answer, rollout.predicted || "", rollout.completion || rollout.tokens.pieces.join("")];
      return (entry.text ??= parts().join("\n").toLowerCase());
    }

    function fits(entry) {
      const { rollout } = entry;
      const format = controls.format.value;
      if (format === "valid" && !rollout.valid) return false;
      if (format === "invalid" && rollout.valid) return false;
      if (format.startsWith("!") && (rollout.valid || rollout.reason !== format.slice(1))) return false;
      if (controls.answer.value && (controls.answer.value === "right") !== rollout.correct) return false;
      if (controls.kind.value && rollout.kind !== controls.kind.value) return false;
      if (controls.teacher.value && !rollout.supervised.some((one) => one.teacher === controls.teacher.value)) return false;
      const wanted = controls.search.value.toLowerCase();
      return !wanted || searched(entry).includes(wanted);
    }

    const ORDERS = { kl: ({ rollout }) => -measure(rollout).kl, clipped: ({ rollout }) => -measure(rollout).clipped, length: ({ rollout }) => -rollout.length };

    function update() {
      const index = Number(controls.run.value);
      const step = steps[Number(controls.step.value)];
      const everyStep = controls["all-steps"].checked;
      byId("step-now").textContent = everyStep ? "all" : `${step}`;
      controls.step.setAttribute("aria-valuetext", `step ${step}`);
      controls.step.disabled = everyStep;
      const candidates = all.filter((entry) => entry.index === index && (everyStep || entry.rollout.step === step));
      shown = candidates.filter(fits);
      const order = ORDERS[controls.order.value];
      if (order) shown.sort((a, b) => order(a) - order(b));
      byId("count").textContent = `${shown.length} of ${candidates.length} rollouts`;
      byId("list").classList.toggle("one", !everyStep);
      lines(0);
      byId("list").scrollTop = 0;
      pick(shown.includes(picked) ? shown.indexOf(picked) : 0);
    }

    // Lines of the list from one on. Of a long list some are in the page: a browser walks over all of them at a press of Tab.
    function lines(from) {
      first = Math.max(0, Math.min(from, shown.length - LINES));
      const parts = document.createDocumentFragment();
      shown.slice(first, first + LINES).forEach((entry, at) => {
        const node = line(entry);
        node.setAttribute("aria-posinset", first + at + 1);
        node.setAttribute("aria-setsize", shown.length);
        parts.append(node);
      });
      byId("list").replaceChildren(parts);
    }

    // Near an end of those that are there the next ones come, and what is seen stays where it is.
    function scrolled() {
      const list = byId("list"), top = list.scrollTop;
      const down = top + list.clientHeight > list.scrollHeight - 200 && first + LINES < shown.length;
      if (!down && !(top < 200 && first > 0)) return;
      const seen = shown[down ? first + LINES - 1 : first].node, before = seen.offsetTop;
      lines(first + (down ? LINES : -LINES) / 2);
      list.scrollTop = top + seen.offsetTop - before;
    }

    // An entry's line is made once: filters and orders only put lines elsewhere.
    function line(entry) {
      const { rollout } = entry;
      if (entry.node) return entry.node;
      const at = all.indexOf(entry);
      entry.node = make("div", { class: "entry", role: "option", id: `entry${at}`, "aria-selected": "false", "data-at": at, "data-row": rollout.row },
        make("span", { class: "name" }, rollout.id),
        make("span", { class: `badge ${rollout.valid ? "yes" : "no"}` }, rollout.valid ? "valid" : "invalid"),
        make("span", { class: `badge ${rollout.correct ? "yes" : "no"}` }, rollout.correct ? "✓ agrees" : "✗ not"),
        make("span", { class: "badge plain of-step" }, `step ${rollout.step}`),
        measure(rollout).taught ? make("span", { class: "badge plain" }, `KL ${short(measure(rollout).kl)}`) : null);
      return entry.node;
    }

    function pick(place) {
      const list = byId("list");
      if (selected) selected.setAttribute("aria-selected", "false");
      picked = shown[place] || null;
      if (picked && (place < first || place >= first + LINES)) lines(place - LINES / 2);
      const node = selected = picked && picked.node;
      if (node) {
        node.setAttribute("aria-selected", "true");
        list.setAttribute("aria-activedescendant", node.id);
        if (node.offsetTop < list.scrollTop) list.scrollTop = node.offsetTop;
        else if (node.offsetTop + node.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = node.offsetTop + node.offsetHeight - list.clientHeight;
      } else list.removeAttribute("aria-activedescendant");
      const twins = picked ? all.filter((entry) => entry !== picked && entry.rollout.id === picked.rollout.id) : [];
      controls.other.replaceChildren(make("option", { value: "" }, twins.length ? "nothing" : "no other rollout of this sample"),
        ...twins.map((entry) => make("option", { value: all.indexOf(entry) }, `${data.runs.length > 1 ? entry.run.name + ", " : ""}step ${entry.rollout.step}, line ${entry.rollout.row + 1}`)));
      controls.other.disabled = !twins.length;
      there = null;
      here = picked && new Pane(picked.run, picked.rollout, controls.shade.value);
      lay();
    }

    function lay() {
      byId("panes").replaceChildren(...[here, there].filter(Boolean).map((pane) => pane.node));
      if (!here) byId("panes").append(make("p", { class: "muted" }, "No rollout fits these filters."));
    }

    byId("list").addEventListener("scroll", scrolled);
    byId("list").addEventListener("click", (event) => {
      const entry = event.target.closest(".entry");
      if (entry) pick(shown.indexOf(all[Number(entry.dataset.at)]));
    });
    byId("list").addEventListener("keydown", (event) => {
      const at = shown.indexOf(picked);
      const moves = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: shown.length - 1, PageUp: at - 10, PageDown: at + 10 };
      if (!(event.key in moves) || !shown.length) return;
      event.preventDefault();
      pick(Math.min(shown.length - 1, Math.max(0, moves[event.key])));
    });
    controls.run.addEventListener("change", () => { setSteps(); update(); });
    for (const id of ["step", "search"]) controls[id].addEventListener("input", update);
    for (const id of ["all-steps", "format", "answer", "kind", "teacher", "order"]) controls[id].addEventListener("change", update);
    controls.shade.addEventListener("change", () => [here, there].filter(Boolean).forEach((pane) => pane.paint(controls.shade.value)));
    controls.other.addEventListener("change", () => {
      const entry = controls.other.value === "" ? null : all[Number(controls.other.value)];
      there = entry && new Pane(entry.run, entry.rollout, controls.shade.value);
      lay();
    });
    // What filters and orders need of an entry is made while nobody waits for it.
    const later = window.requestIdleCallback || ((work) => setTimeout(work, 1));
    const ready = (from) => later(() => {
      all.slice(from, from + 25).forEach((entry) => { searched(entry); line(entry); });
      if (from + 25 < all.length) ready(from + 25);
    });
    legend();
    setSteps();
    update();
    ready(0);
  }

  // ---- Items -----------------------------------------------------------------------------------------------------

  if (byId("item-table")) {
    const SIZE = 50;
    const runs = data.runs.map((run, index) => ({ run, index })).filter(({ run }) => run.evaluations && run.evaluations.items.length);
    let page = 0;
    byId("item-run").replaceChildren(...runs.map(({ run, index }) => make("option", { value: index }, run.name)));
    byId("item-run-label").hidden = runs.length < 2;
    const kinds = [...new Set(runs.flatMap(({ run }) => run.evaluations.items.map((item) => item.kind)))].filter(Boolean).sort();
    byId("item-kind").replaceChildren(...["", ...kinds].map((kind) => make("option", { value: kind }, kind || "any")));
    byId("item-kind-label").hidden = !kinds.length;

    const share = (answer) => answer.right / answer.of;
    const FILTERS = {
      "": () => true,
      better: (first, last) => share(last) > share(first),
      worse: (first, last) => share(last) < share(first),
      differs: (first, last) => first.predicted !== last.predicted,
      wrong: (_, last) => share(last) < 1,
    };

    function show() {
      const { names, items, of } = data.runs[Number(byId("item-run").value)].evaluations;
      const filter = byId("item-filter").value;
      const wanted = byId("item-search").value.toLowerCase();
      const kind = byId("item-kind").value;
      const found = items.filter((item) => {
        if (kind && item.kind !== kind) return false;
        const known = item.answers.filter(Boolean);
        if (!known.length || !FILTERS[filter](known[0], known[known.length - 1])) return false;
        return !wanted || [item.id, item.kind, item.problem, item.answer].join("\n").toLowerCase().includes(wanted);
      });
      const pages = Math.max(1, Math.ceil(found.length / SIZE));
      page = Math.min(page, pages - 1);
      byId("item-count").textContent = `${found.length} of ${items.length} items` + (of > items.length ? `; ${of} were asked, those whose answers changed come first` : "");
      byId("item-page").textContent = `page ${page + 1} of ${pages}`;
      byId("item-back").disabled = page === 0;
      byId("item-next").disabled = page === pages - 1;
      const answer = (given) => {
        if (!given) return make("td", {}, "–");
        const right = given.of > 1 ? `${given.right}/${given.of}` : given.right ? "✓" : "✗";
        return make("td", {}, make("span", { class: given.right ? "yes" : "no", "aria-label": given.right ? "right" : "wrong" }, `${right} `),
          given.predicted === null ? "nothing in a box" : given.predicted,
          given.completion ? make("details", {}, make("summary", {}, "completion"), make("span", { class: "text" }, given.completion)) : null);
      };
      byId("item-table").replaceChildren(
        make("thead", {}, make("tr", {}, ["item", "question", "reference", ...names].map((name) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, found.slice(page * SIZE, (page + 1) * SIZE).map((item) => make("tr", {},
          make("th", { scope: "row" }, item.id, item.kind ? make("div", { class: "muted" }, item.kind) : null),
          make("td", {}, item.problem), make("td", {}, item.answer), item.answers.map(answer)))));
    }

    byId("item-back").addEventListener("click", () => { page -= 1; show(); });
    byId("item-next").addEventListener("click", () => { page += 1; show(); });
    for (const [id, event] of [["item-run", "change"], ["item-filter", "change"], ["item-kind", "change"], ["item-search", "input"]]) {
      byId(id).addEventListener(event, () => { page = 0; show(); });
    }
    show();
  }

  // ---- Leakage ---------------------------------------------------------------------------------------------------

  if (byId("leak")) {
    const found = data.runs.flatMap((run) => (run.leakage ? run.leakage.rollouts.map((rollout) => ({ run, rollout })) : []));
    byId("leak").replaceChildren(...found.map(({ run, rollout }, index) => make("option", { value: index }, data.runs.length > 1 ? `${run.name}: ${rollout.id}` : rollout.id)));

    function show() {
      const entry = found[Number(byId("leak").value)];
      if (!entry) { byId("leak-view").replaceChildren(make("p", { class: "muted" }, "The diagnosis has no valid rollout.")); return; }
      const { rollout } = entry;
      const detail = make("div", { class: "detail", "aria-live": "polite" }, make("p", { class: "muted" }, "Click a token, or focus the text and press the arrow keys."));
      const text = make("div", { class: "tokens", role: "listbox", tabindex: "0", "aria-label": `Tokens of ${rollout.id}` });
      rollout.tokens.forEach((token, at) => {
        const leaked = token.pull * token.answer_share;
        const node = make("span", { class: "token", role: "option", "aria-selected": "false", "data-at": at }, visible(token.piece ?? `#${token.id} `));
        const strength = Math.min(1, Math.sqrt(leaked));
        if (strength > 0.02) node.style.background = heat(strength, "leak");
        text.append(node);
      });
      let picked = -1;
      const pick = (at) => {
        if (!rollout.tokens[at]) return;
        if (picked >= 0) { text.children[picked].classList.remove("picked"); text.children[picked].setAttribute("aria-selected", "false"); }
        picked = at;
        text.children[at].classList.add("picked");
        text.children[at].setAttribute("aria-selected", "true");
        const token = rollout.tokens[at];
        const row = (name, value) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value));
        detail.replaceChildren(
          make("h4", {}, "“", make("span", { class: "token" }, visible(token.piece ?? `#${token.id}`)), `” under the ${token.teacher} teacher`),
          make("table", { class: "numbers" }, make("tbody", {},
            row("probability, student", percent(token.student)), row("probability, teacher", percent(token.active)),
            row("… given wrong answers", percent(token.wrong)), row("… given another image", percent(token.image)),
            row("pull, nats", short(token.pull)), row("of it from the answer, nats", short(token.answer_share)), row("of it from the image, nats", short(token.image_share)))));
      };
      text.addEventListener("click", (event) => { const node = event.target.closest(".token"); if (node) pick(Number(node.dataset.at)); });
      text.addEventListener("keydown", (event) => {
        const last = rollout.tokens.length - 1;
        const moves = { ArrowLeft: picked - 1, ArrowRight: picked + 1, Home: 0, End: last };
        if (!(event.key in moves)) return;
        event.preventDefault();
        pick(Math.min(last, Math.max(0, moves[event.key])));
      });
      byId("leak-view").replaceChildren(make("div", { class: "leak-pane" },
        rollout.wrong_answers.length ? make("p", { class: "muted" }, `Wrong answers that stood in: ${rollout.wrong_answers.join(", ")}`) : "", text, detail,
        make("details", {}, make("summary", {}, "The whole completion"), make("p", { class: "text" }, rollout.completion))));
    }
    byId("leak").addEventListener("change", show);
    show();
  }
})();
