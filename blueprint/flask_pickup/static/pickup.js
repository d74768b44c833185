"use strict";

// Reads an opening aloud with the browser's own voice, in the language that the caller would hear.
for (const button of document.querySelectorAll("button.speak")) {
  if (!window.speechSynthesis) continue;
  button.hidden = false;
  button.addEventListener("click", () => {
    const words = new SpeechSynthesisUtterance(button.dataset.words);
    words.lang = button.lang;
    speechSynthesis.cancel();
    speechSynthesis.speak(words);
  });
}

// Where the browser lets a page copy, which it does on an encrypted connection and on the machine itself.
for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.text);
    button.textContent = button.dataset.done;
  });
}

const arm = (index) => `var(--arm-${index % 10})`;
const style = { background: "transparent", fontFamily: "inherit", fontSize: "13px" };

// Numbers and days are written by the browser as the page's language writes them; "en" alone would be American.
const locale = (language) => (language === "en" ? "en-GB" : language);

function numbers({ language }, options = {}) {
  const written = new Intl.NumberFormat(locale(language), { maximumSignificantDigits: 3, ...options });
  return (value) => written.format(value);
}

function days({ language, zone = "UTC" }) {
  const written = new Intl.DateTimeFormat(locale(language), { day: "numeric", month: "short", timeZone: zone });
  return (value) => written.format(value);
}

// As many of the values as can be written side by side, the last one always.
function some(values, width) {
  const step = Math.ceil(values.length / (width / 70));
  return values.filter((_, index) => (values.length - 1 - index) % step === 0);
}

const draw = {
  // Each arm's difference to control with its interval; a rule at zero, the difference that matters, the harm accepted.
  intervals(data, width) {
    const ends = data.rows.flatMap((row) => [row.low, row.high]).concat(0, data.marks.map((mark) => mark.at));
    const edge = 1.08 * Math.max(...ends.map(Math.abs), 1e-9);
    return Plot.plot({
      width, height: 84 + 46 * data.rows.length, marginLeft: 16, marginRight: 16, marginTop: 28, marginBottom: 44, style,
      x: {
        label: data.label, tickFormat: numbers(data, { signDisplay: "exceptZero" }), labelAnchor: "center",
        labelArrow: "none", labelOffset: 40, domain: [-edge, edge], ticks: width / 90,
      },
      y: { axis: null, domain: data.rows.map((row) => row.arm) },
      marks: [
        Plot.rectX(data.marks, { x1: "at", x2: (mark) => Math.sign(mark.at || 1) * edge, fill: (mark) => `var(--${mark.kind})`, fillOpacity: 0.55 }),
        ...[-1, 1].map((side) => Plot.text(data.marks.filter((mark) => mark.at * side > 0), {
          x: side * edge, text: "text", frameAnchor: "top", dy: -16, textAnchor: side > 0 ? "end" : "start", fill: "var(--quiet)",
        })),
        Plot.ruleX([0], { stroke: "var(--ink)" }),
        Plot.text(data.rows, {
          x: -edge, y: "arm", text: "arm", textAnchor: "start", dy: -15, fill: "var(--ink)", stroke: "var(--card)", strokeWidth: 4,
        }),
        Plot.ruleY(data.rows, { x1: "low", x2: "high", y: "arm", stroke: (row) => arm(row.index), strokeWidth: 5, strokeLinecap: "round" }),
        Plot.dot(data.rows, { x: "difference", y: "arm", r: 6, fill: "var(--card)", stroke: (row) => arm(row.index), strokeWidth: 3 }),
      ],
    });
  },

  // New callers a day, an arm on top of the other.
  days(data, width) {
    const rows = data.rows.map((row) => ({ ...row, day: new Date(row.day) }));
    const [first, last] = d3.extent(rows, (row) => row.day);
    return Plot.plot({
      width, height: 240, style,
      x: { label: null, type: "utc", tickFormat: days(data), ticks: some(d3.utcDay.range(first, d3.utcDay.offset(last)), width) },
      y: { label: data.label, labelAnchor: "top", labelArrow: "none", grid: true, tickFormat: numbers(data) },
      color: { domain: data.arms, range: data.arms.map((_, index) => arm(index)) },
      marks: [Plot.rectY(rows, { x: "day", interval: "day", y: "callers", fill: "arm", insetLeft: 0.5, insetRight: 0.5 }), Plot.ruleY([0])],
    });
  },

  // The interval of one comparison, week by week.
  narrowing(data, width) {
    const rows = data.rows.map((row) => ({ ...row, until: new Date(row.until) }));
    return Plot.plot({
      width, height: 240, style,
      x: { label: null, type: "time", tickFormat: days(data), ticks: some(rows.map((row) => row.until), width) },
      y: { label: data.label, labelAnchor: "top", labelArrow: "none", tickFormat: numbers(data, { signDisplay: "exceptZero" }), grid: true },
      marks: [
        Plot.areaY(rows, { x: "until", y1: "low", y2: "high", fill: arm(data.index), fillOpacity: 0.25 }),
        Plot.lineY(rows, { x: "until", y: "low", stroke: arm(data.index), strokeWidth: 2 }),
        Plot.lineY(rows, { x: "until", y: "high", stroke: arm(data.index), strokeWidth: 2 }),
        Plot.dot(rows, { x: "until", y: "low", r: 2, fill: arm(data.index) }),
        Plot.dot(rows, { x: "until", y: "high", r: 2, fill: arm(data.index) }),
        Plot.ruleY([0], { stroke: "var(--ink)" }),
      ],
    });
  },
};

// Drawn anew when the room for it changes; the same figures stand in a table below.
function show(place) {
  const data = JSON.parse(place.dataset.plot);
  const width = Math.max(280, Math.floor(place.clientWidth - 34));
  const drawn = draw[data.kind](data, width);
  // A picture has one name, not one for each of its lines.
  for (const part of drawn.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", data.says);
  place.replaceChildren(drawn);
}

if (window.Plot) {
  const places = [...document.querySelectorAll("[data-plot]")];
  places.forEach(show);
  let width = window.innerWidth;
  addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    places.forEach(show);
  });
}
