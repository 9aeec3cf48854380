#!/usr/bin/env python3
"""Opens reports in a headless Chromium and looks whether they keep what docs/report.md promises.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install websockets==15.0.1
    /tmp/venv/bin/python tools/report_check.py runs/shapes [--vigos target/release/vigos] [--shots DIR]

Needs Debian's `chromium`. RUN is a run with recordings, such as that of `vigos train configs/shapes.toml`. Three pages are
made and opened: that of the run, one of two runs with hostile texts, and one of 1,000 rollouts. Checked in each theme:
no error on the console, no request but for the file itself, slider, filters, list and tokens by keyboard, the numbers of
tokens against the run's files, contrast of every text. Then `vigos watch` of a run that goes on. How long the browser takes for an interaction is told, not judged.
"""

import argparse
import base64
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

KEYS = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35, "Escape": 27,
        "Enter": 13, " ": 32}
HOSTILE = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>\u202etxet\u0000"

# The colour of every text against what is painted below it, by the browser's own computed styles.
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const numbers = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return text.startsWith("rgb") ? [n[0], n[1], n[2], n[3] ?? 1] : parse(text); };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => { const f = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const ground = (node) => { const chain = []; for (let at = node; at; at = at.parentElement) chain.unshift(numbers(getComputedStyle(at).backgroundColor));
    return chain.reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let worst = [99, ""], count = 0; const below = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "OPTION"].includes(node.tagName)) continue;
    if (!node.checkVisibility({ checkOpacity: true, contentVisibilityAuto: true })) continue;
    const box = node.getBoundingClientRect(); if (!box.width || box.right < 0) continue;
    if (node.closest(":disabled")) continue;
    const style = getComputedStyle(node), inSvg = node.namespaceURI.endsWith("svg");
    const back = ground(node), ink = over(numbers(inSvg ? style.fill : style.color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    count += 1;
    if (ratio < worst[0]) worst = [ratio, `${node.tagName}.${node.className}: ${node.textContent.trim().slice(0, 40)}`];
    if (ratio < (large ? 3 : 4.5)) below.push(`${ratio.toFixed(2)} ${node.tagName}.${node.className.baseVal ?? node.className}: ${node.textContent.trim().slice(0, 40)}`);
  }
  return { count, worst, below: below.slice(0, 10), failing: below.length };
})()
"""

TIMING = """
window.slow = []; new PerformanceObserver((list) => { for (const entry of list.getEntries())
  window.slow.push([entry.name, entry.duration, entry.processingEnd - entry.processingStart]); })
  .observe({ type: "event", durationThreshold: 16, buffered: true });
"""


class Browser:
    """A page in a headless Chromium, driven by its DevTools protocol."""

    def __init__(self, width=1360, height=1000):
        self.profile = tempfile.mkdtemp()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                   "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={self.profile}",
                   f"--window-size={width},{height}", "about:blank"]
        self.process = subprocess.Popen(["chromium", *options], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "DevTools listening on " in line:
                self.socket = connect(line.split("listening on ")[1].strip(), max_size=1 << 28)
                break
        self.number, self.events, self.session = 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=120))
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, path):
        self.visit(Path(path).resolve().as_uri())

    def visit(self, url):
        self.events.clear()
        self.call("Page.addScriptToEvaluateOnNewDocument", source=TIMING)
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.run("0")
            time.sleep(0.02)
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def theme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key, times=1):
        for _ in range(times):
            fields = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS.get(key, 0)}
            self.call("Input.dispatchKeyEvent", type="rawKeyDown", **fields)
            self.call("Input.dispatchKeyEvent", type="keyUp", **fields)
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def tab_to(self, selector):
        """Presses Tab from the top of the page until an element has the focus, as someone without a mouse would."""
        self.run("document.activeElement && document.activeElement.blur(); window.scrollTo(0, 0)")
        for count in range(1, 200):
            self.press("Tab")
            if self.run(f"document.activeElement.matches({json.dumps(selector)})"):
                return count
        raise AssertionError(f"{selector} cannot be reached by the Tab key")

    def shot(self, path, selector=None, height=None):
        clip = {}
        if selector:
            box = self.run(f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                           " return [b.left + scrollX, b.top + scrollY, b.width, b.height]; })()")
            clip = {"clip": {"x": box[0] - 16, "y": box[1] - 16, "width": box[2] + 32,
                             "height": min(box[3] + 32, height or box[3] + 32), "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def complaints(self):
        """Errors of the console, and requests for anything but the page itself."""
        self.run("0")
        found = []
        for event in self.events:
            method, of = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(f"exception: {of['exceptionDetails'].get('text')} {of['exceptionDetails'].get('exception', {}).get('description', '')}")
            elif method == "Runtime.consoleAPICalled" and of["type"] in ("error", "warning", "assert"):
                found.append(f"console: {of['args']}")
            elif method == "Log.entryAdded" and of["entry"]["level"] in ("error", "warning"):
                found.append(f"log: {of['entry']['text']}")
        return found

    def requests(self):
        urls = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("data:")]

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def check(holds, what):
    print(f"{'ok  ' if holds else 'FAIL'}  {what}")
    check.failed |= not holds


check.failed = False


def quiet(browser, page, name):
    complaints, requests = browser.complaints(), browser.requests()
    check(not complaints, f"{name}: no error on the console {complaints[:3] or ''}")
    check(requests == [Path(page).resolve().as_uri()], f"{name}: one request, the file itself {requests[1:3] or ''}")


def contrast(browser, name):
    for theme in ["light", "dark"]:
        browser.theme(theme)
        browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        check(browser.run("document.documentElement.dataset.theme") == theme, f"{name}: the page is {theme} where the system is")
        found = browser.run(CONTRAST)
        check(not found["failing"], f"{name}, {theme}: {found['count']} texts, the lowest contrast is {found['worst'][0]:.2f} "
              f"({found['worst'][1]}) {found['below'] or ''}")
    browser.theme("light")


def short(value):
    """As the page writes a number."""
    if value is None:
        return "–"
    size = abs(value)
    if size != 0 and (size < 1e-3 or size >= 1e6):
        return None
    return f"{value:.0f}" if size >= 100 else f"{float(f'{value:.4g}'):g}"


def same(text, value):
    """Whether the page's text is this number, as far as it is written out."""
    wanted = short(value)
    if wanted is None:
        return math.isclose(float(text), value, rel_tol=0.01)
    return text == wanted or (value is not None and math.isclose(float(text), value, rel_tol=1e-3))


def tokens_agree(browser, run):
    """Goes over tokens by keyboard and compares what is shown of each with the recording's file."""
    compared = 0
    browser.tab_to("#list")
    for _ in range(4):
        at = browser.run("(() => { const o = document.querySelector('#list [aria-selected=true]'); return o ? o.dataset.row : null; })()")
        if at is None:
            break
        step = int(browser.run("document.getElementById('step-now').textContent"))
        shown_id = browser.run("document.querySelector('.pane h3').textContent")
        lines = [json.loads(line) for line in open(run / f"recordings/step-{step:06}.jsonl", encoding="utf-8")]
        line = lines[int(at)]
        assert line["id"] == shown_id, (line["id"], shown_id)
        browser.run("document.querySelector('.pane .tokens').focus()")
        for position in range(min(12, len(line["tokens"]["ids"]))):
            browser.press("ArrowRight")
            rows = browser.run("Object.fromEntries([...document.querySelectorAll('.pane .detail > table tbody tr')].map((row) => "
                               "[row.cells[0].textContent, [...row.cells].slice(1).map((cell) => cell.textContent)]))")
            tokens = line["tokens"]
            readers = [(tokens, position)] + [(s, s["positions"].index(position)) for s in line["supervised"] if position in s["positions"]]
            for column, (reader, index) in enumerate(readers):
                good = same(rows["log-probability, nats"][column], reader["logprob"][index]) and \
                    same(rows["entropy, nats"][column], reader["entropy"][index]) and \
                    same(rows["rank"][column], reader["rank"][index])
                if "kl" in reader:
                    good = good and same(rows["divergence, nats"][column], reader["kl"][index])
                if not good:
                    check(False, f"token {position} of {shown_id}: {rows} against {reader['logprob'][index]}")
                compared += 1
        browser.tab_to("#list")
        browser.press("ArrowDown")
    check(compared > 20, f"{compared} columns of tokens, picked by keyboard, equal the recording's files")


def keyboard(browser):
    steps = browser.run("Number(document.getElementById('step').max) + 1")
    presses = browser.tab_to("#step")
    before = browser.run("document.getElementById('step-now').textContent")
    browser.press("Home")
    first = browser.run("document.getElementById('step-now').textContent")
    browser.press("ArrowRight")
    second = browser.run("document.getElementById('step-now').textContent")
    check(steps < 2 or len({first, second}) == 2, f"slider: reached by {presses} tabs; step {before}, Home {first}, → {second} of {steps} steps")
    browser.press("End")
    for selector, count in [("#format", "valid"), ("#answer", "right"), ("#order", "kl")] + \
            ([("#kind", None)] if browser.run("!document.getElementById('kind-label').hidden") else []):
        browser.tab_to(selector)
        browser.press("ArrowDown")
        value = browser.run(f"document.querySelector('{selector}').value")
        check(value == count if count else bool(value), f"filter {selector} by keyboard: {value!r}, then {browser.run('document.getElementById(`count`).textContent')}")
        browser.press("ArrowUp")
    browser.tab_to("#search")
    browser.type("no such text")
    empty = browser.run("document.getElementById('count').textContent")
    check(empty.startswith("0 of"), f"search by keyboard: {empty}")
    browser.run("document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))")
    browser.tab_to("#charts svg")
    browser.press("ArrowRight", 2)
    read = browser.run("document.querySelector('.readout').textContent")
    check(read.startswith("step "), f"a curve by keyboard: {read}")
    names = browser.run("[...document.querySelectorAll('button, select, input, [role=listbox], svg[tabindex]')].filter((n) => n.checkVisibility())"
                        ".filter((n) => !(n.getAttribute('aria-label') || n.getAttribute('aria-labelledby') || n.textContent.trim() || (n.labels && n.labels.length)))"
                        ".map((n) => n.outerHTML.slice(0, 80))")
    check(names == [], f"every control has a name for a screen reader {names or ''}")


def policy(browser):
    """Tries what the page may not do."""
    tried = browser.run("""(async () => {
      const found = {};
      try { await fetch("https://example.org/"); found.fetch = "went out"; } catch { found.fetch = "refused"; }
      const script = document.createElement("script"); script.textContent = "window.broken = 1"; document.body.append(script);
      found.script = window.broken ? "ran" : "refused";
      const image = new Image(); const done = new Promise((ok) => { image.onload = () => ok("went out"); image.onerror = () => ok("refused"); });
      image.src = "https://example.org/x.png"; found.image = await done;
      const box = document.createElement("div"); box.innerHTML = "<b style='color: red'>x</b>"; document.body.append(box);
      found.style = getComputedStyle(box.firstChild).color === "rgb(255, 0, 0)" ? "applied" : "refused"; box.remove();
      return found;
    })()""")
    check(set(tried.values()) == {"refused"}, f"the page's policy refuses what it tries: {tried}")


def rollout(step, row, texts, spread):
    """A recorded rollout that was made up."""
    draw = random.Random(step * 1000 + row)
    count = len(texts)
    top = lambda: {"ids": list(range(5)), "logprobs": sorted((-4 * draw.random() for _ in range(5)), reverse=True)}
    taught = list(range(count // 2))
    return {"version": 1, "step": step, "row": row, "id": f"row-{row}" if spread else f"row-{step}-{row}", "problem": "What is it?", "answer": "a cup",
            "finish_reason": "stop", "valid": row % 4 != 0, "reason": "no_box" if row % 4 == 0 else None, "predicted": "a cup" if row % 2 else None,
            "correct": row % 2 == 1, "temperature": 1.0, "kind": ["colour", "count"][row % 2], "prompts": [{"role": "student", "text": "Describe the image."}], "images": [], "length": count,
            "tokens": {"ids": list(range(count)), "pieces": texts, "spans": "d" * (count // 2) + "r" * (count - count // 2),
                       "logprob": [-3 * draw.random() for _ in texts], "entropy": [2 * draw.random() for _ in texts],
                       "rank": [draw.randint(1, 50) for _ in texts], "top": [top() for _ in texts]},
            "supervised": [{"teacher": "perception", "context": ["image"], "of": ["description"], "when": "valid", "divergence": "forward", "weight": 1.0,
                            "positions": taught, "kl": [draw.random() ** 3 * 3 for _ in taught], "clipped": "".join(draw.choice("01") for _ in taught),
                            "logprob": [-3 * draw.random() for _ in taught], "entropy": [draw.random() for _ in taught],
                            "rank": [draw.randint(1, 9) for _ in taught], "top": [top() for _ in taught]}], "texts": {}}


def made_up(folder, steps, rows, tokens, texts):
    """A run of made-up rollouts; some with texts that want to break the page."""
    (folder / "recordings").mkdir(parents=True)
    (folder / "config.toml").write_text(f"[model]\npath = {json.dumps(texts[0].replace(chr(0), ''))}\n[train]\nsteps = {steps}\n", encoding="utf-8")
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            line = {"step": step, "loss": 1 / step, "terms": {texts[0][:80]: {"loss": 1 / step, "kl": 2 / step, "tokens": 9, "clipped": 1}},
                    "accuracy": 0.5, "fallback_rate": 0.1, "grad_norm": 1.0, "lr": 1e-3, "seconds": {"rollout": 1.0, "scoring": 0.5, "update": 0.7}}
            file.write(json.dumps(line) + "\n")
    for step in range(1, steps + 1):
        with open(folder / f"recordings/step-{step:06}.jsonl", "w", encoding="utf-8") as file:
            for row in range(rows):
                line = rollout(step, row, [texts[(row + n) % len(texts)] for n in range(tokens)], spread=False)
                if len(texts) == 2:
                    line.update(id=HOSTILE, problem=HOSTILE, answer=HOSTILE, predicted=HOSTILE, reason=HOSTILE if not line["valid"] else None)
                file.write(json.dumps(line) + "\n")


def hostile_page(browser, vigos, folder):
    run = folder / "<img src=x onerror=alert(1)>"
    made_up(run, 4, 4, 20, [HOSTILE, " plain"])
    page = folder / "hostile.html"
    subprocess.run([vigos, "report", run, run, "--out", page], check=True)
    browser.open(page)
    browser.tab_to("#list")
    browser.run("document.querySelector('.pane .tokens').focus()")
    browser.press("ArrowRight", 2)
    check(browser.run("window.broken === undefined && document.images.length < 3"), "hostile texts: no script ran, no element was made")
    shown = browser.run("document.querySelector('.pane .token').textContent")
    check("<script>window.broken = 1</script>" in shown and "⟨U+202E⟩" in shown, f"hostile texts are shown as texts: {shown[:60]}…")
    quiet(browser, page, "hostile texts")


def large_page(browser, vigos, folder):
    run = folder / "large"
    made_up(run, 125, 8, 40, [" token", " red", " cup", "</description>", " is"])
    page = folder / "large.html"
    begin = time.perf_counter()
    subprocess.run([vigos, "report", run, "--out", page], check=True)
    print(f"      made in {time.perf_counter() - begin:.2f} s")
    browser.open(page)
    load = browser.run("performance.getEntriesByType('navigation')[0].domComplete")
    count = browser.run("document.getElementById('count').textContent")
    check(browser.run("JSON.parse(document.getElementById('data').textContent).runs[0].rollouts.length") == 1000,
          f"1,000 rollouts in {page.stat().st_size / 1e6:.1f} MB, complete after {load:.0f} ms; {count}")
    browser.run("window.slow.length = 0")
    browser.tab_to("#all-steps")
    browser.press(" ")
    scrolling(browser)
    print(f"      all steps: {browser.run('document.getElementById(`count`).textContent')}")
    browser.tab_to("#list")
    browser.press("ArrowDown", 10)
    browser.press("End")
    browser.tab_to("#order")
    browser.press("ArrowDown", 3)
    browser.tab_to("#search")
    browser.type("row-1")
    browser.run("document.querySelector('.pane .tokens').focus()")
    browser.press("ArrowRight", 20)
    time.sleep(0.5)
    slow = browser.run("window.slow")
    slow.sort(key=lambda entry: entry[1])
    middle, late = (slow[int(len(slow) * share)] if slow else ("–", 0, 0) for share in (0.5, 0.95))
    worst = slow[-1] if slow else ("–", 0, 0)
    print(f"      {len(slow)} events of 16 ms and more by the browser's own timing, with painting: half below {middle[1]:.0f} ms, 95 % below "
          f"{late[1]:.0f} ms, the longest {worst[1]:.0f} ms ({worst[0]}); in the page's script at most {max((e[2] for e in slow), default=0):.0f} ms")
    quiet(browser, page, "1,000 rollouts")


def watched_page(browser, vigos, folder):
    """A run that goes on, served: the page follows it, and what was chosen stays."""
    run = folder / "watched"
    made_up(run, 6, 4, 20, [" token", " red", " cup", "</description>", " is"])
    server = subprocess.Popen([vigos, "watch", run, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    try:
        url = server.stderr.readline().split(" at ")[1].split(";")[0]
        browser.visit(url)
        browser.run("""(() => { const set = (id, value, event) => { const n = document.getElementById(id); n.value = value; n.dispatchEvent(new Event(event)); };
          set("step", 1, "input"); set("order", "kl", "change"); document.querySelectorAll("#list .entry")[2].click(); })()""")
        chosen = "[document.getElementById('step-now').textContent, document.getElementById('order').value, document.querySelector('#list [aria-selected=true]').dataset.row]"
        before = browser.run(chosen)
        with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": 7, "loss": 0.1}) + "\n" + '{"step": 8, "lo')
        last = "JSON.parse(document.getElementById('data').textContent).runs[0].steps.at(-1)"
        for _ in range(300):
            time.sleep(0.1)
            if browser.run(f"document.readyState === 'complete' && {last}") == 7:
                break
        check(browser.run(last) == 7, f"watch: the page follows the run to step {browser.run(last)}, and leaves an unfinished line alone")
        check(browser.run(chosen) == before, f"watch: what was chosen stays: {before}")
        check(not browser.complaints(), f"watch: no error on the console {browser.complaints()[:3] or ''}")
        own = [request for request in browser.requests() if not request.startswith(url)]
        check(not own, f"watch: every request goes to its server {own[:3] or ''}")
        contrast(browser, "watch")
    finally:
        server.terminate()
        check(server.wait(timeout=20) == 143, "watch: ends by SIGTERM")


def scrolling(browser):
    """Wheel down a list of which the page has some lines."""
    seen = 0
    for _ in range(200):
        at = browser.run("""new Promise((done) => { const list = document.getElementById('list'); list.scrollTop += 2000;
          requestAnimationFrame(() => requestAnimationFrame(() => done([Number(list.lastChild.getAttribute('aria-posinset')), list.childElementCount]))); })""")
        seen = max(seen, at[0])
        if at[0] == 1000:
            break
    check(seen == 1000 and at[1] <= 60, f"a list of 1,000 is scrolled to its end, with {at[1]} lines in the page at a time")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--vigos", default="target/release/vigos")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    browser = Browser()
    try:
        page = folder / "run.html"
        begin = time.perf_counter()
        subprocess.run([arguments.vigos, "report", arguments.run, "--out", page], check=True)
        print(f"      made in {time.perf_counter() - begin:.2f} s, {page.stat().st_size / 1e6:.2f} MB")
        browser.open(page)
        check(browser.run("document.querySelectorAll('#charts path.curve').length") > 5, "curves are drawn")
        keyboard(browser)
        tokens_agree(browser, arguments.run)
        contrast(browser, "run")
        if arguments.shots:
            arguments.shots.mkdir(parents=True, exist_ok=True)
            shots(browser, arguments.shots)
        quiet(browser, page, "run")
        browser.call("Page.printToPDF", printBackground=True)
        policy(browser)
        hostile_page(browser, arguments.vigos, folder)
        large_page(browser, arguments.vigos, folder)
        watched_page(browser, arguments.vigos, folder)
    finally:
        browser.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if check.failed else 0)


def shots(browser, folder):
    """Pictures of the parts; the window is high, as what is far below it is not painted."""
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=5000, deviceScaleFactor=1, mobile=False)
    for name, value, event in [("step", 1, "input"), ("order", "kl", "change")]:
        browser.run(f"(() => {{ const n = document.getElementById('{name}'); n.value = {value!r}; n.dispatchEvent(new Event('{event}')); }})()")
    # The token that a teacher pulls hardest.
    browser.run("""(() => { const shown = [...document.querySelectorAll('.pane .token')];
      const heat = (n) => Number((n.style.background.match(/[\\d.]+\\)$/) || ['0'])[0].slice(0, -1));
      shown.reduce((a, b) => (heat(b) > heat(a) ? b : a)).click(); })()""")
    for theme in ["light", "dark"]:
        browser.theme(theme)
        browser.run("new Promise((done) => setTimeout(done, 100))")
        browser.run("window.scrollTo(0, 0)")
        for name in ["overview", "curves", "rollouts", "items"]:
            if browser.run(f"!!document.getElementById('{name}')"):
                browser.shot(folder / f"{name}-{theme}.png", f"#{name}", 1400)
    browser.theme("light")
    browser.call("Emulation.setDeviceMetricsOverride", width=1360, height=1000, deviceScaleFactor=1, mobile=False)


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    main()
