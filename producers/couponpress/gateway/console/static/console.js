// Keeps the parts of a page up to date, and draws the rate. Without it every page still works, as it was loaded.
//
// A part is an element with data-live="PART". While the tab is shown, the server sends the part's HTML whenever it
// changes (server-sent events). Where such a stream is cut twice without a word, the part is fetched every few seconds.

const home = document.body.dataset.home;
const trouble = document.getElementById("trouble");
const POLL_MS = 3000;

class Live {
  constructor(elements) {
    this.elements = new Map(elements.map((one) => [one.dataset.live, one]));
    this.cuts = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    if (!document.hidden) this.start();
  }

  start() {
    this.stop();
    if (this.cuts >= 2 || !window.EventSource) return this.poll();
    const parts = [...this.elements.keys()].map((part) => `part=${encodeURIComponent(part)}`).join("&");
    this.source = new EventSource(`${home}live?${parts}`);
    const hear = (kind, act) => this.source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    hear("part", ({ part, html }) => { this.cuts = 0; this.show(part, html); });
    hear("rate", (columns) => chart?.add(columns));
    hear("trouble", (words) => this.old(words));
    hear("ended", () => { this.stop(); location.reload(); });
    this.source.onerror = () => {
      this.cuts += 1;
      this.old(trouble.dataset.lost);
      if (this.cuts >= 2) { this.stop(); this.poll(); }
    };
  }

  stop() {
    this.source?.close();
    this.source = null;
    clearTimeout(this.timer);
  }

  async poll() {
    for (const part of this.elements.keys()) {
      try {
        const answer = await fetch(`${home}parts/${part}`, { headers: { Accept: "text/x-part" } });
        if (answer.status === 401) return location.reload();
        const text = await answer.text();
        if (answer.ok) this.show(part, text); else this.old(trouble.dataset.lost);
      } catch {
        this.old(trouble.dataset.lost);
      }
    }
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  show(part, html) {
    trouble.hidden = true;
    for (const one of this.elements.values()) one.classList.remove("old");
    const element = this.elements.get(part);
    // What a person is about to press is not taken away.
    if (element.contains(document.activeElement)) return;
    element.innerHTML = html;
  }

  old(words) {
    trouble.textContent = words;
    trouble.hidden = false;
    for (const one of this.elements.values()) one.classList.add("old");
  }
}

class Chart {
  constructor(element) {
    this.element = element;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const line = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    this.columns = JSON.parse(element.dataset.rate);
    // The clock of the gateway, as everywhere on the page; the browser's may be in another time zone.
    const offset = Number(element.dataset.offset);
    const clock = (at, length) => new Date((at + offset) * 1000).toISOString().slice(11, 11 + length);
    const [time, rate, effective, configured] = JSON.parse(element.dataset.names);
    this.plot = new uPlot({
      width: element.clientWidth, height: 220, cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, least, most) => [0, Math.max(10, most * 1.1)] } },
      axes: [{ ...line, values: (_, at) => at.map((one) => clock(one, 5)), space: 70 }, line],
      series: [
        { label: time, value: (_, at) => (at ? clock(at, 8) : "–") },
        { label: rate, stroke: colour("--good"), fill: colour("--good") + "33", width: 2 },
        { label: effective, stroke: colour("--warn"), width: 2 },
        { label: configured, stroke: colour("--soft"), width: 1, dash: [6, 4] },
      ],
    }, this.columns, element);
    new ResizeObserver(() => this.plot.setSize({ width: element.clientWidth, height: 220 })).observe(element);
  }

  // The latest seconds replace those that were drawn before: a second may have been counted before its end.
  add(latest) {
    const begin = latest[0][0];
    const kept = this.columns[0].findIndex((at) => at >= begin);
    const seconds = Number(this.element.dataset.seconds);
    this.columns = this.columns.map((column, index) => [...(kept < 0 ? column : column.slice(0, kept)), ...latest[index]].slice(-seconds));
    this.plot.setData(this.columns);
  }
}

const drawn = document.getElementById("chart");
const chart = drawn && window.uPlot ? new Chart(drawn) : null;
const parts = [...document.querySelectorAll("[data-live]")];
if (parts.length) new Live(parts);
// Whose own clock stands at another offset reads that of the page before its moments, not below them.
const zone = document.getElementById("zone");
if (Number(zone.dataset.offset) !== -60 * new Date().getTimezoneOffset()) document.getElementById("main").prepend(zone);
for (const form of document.querySelectorAll("form[data-sure]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.sure)) event.preventDefault(); });
}
