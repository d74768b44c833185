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

// The browser writes numbers and days in the page's language; "en" alone would be American.
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;

function numbers(options = {}) {
  const written = new Intl.NumberFormat(language, { maximumSignificantDigits: 3, ...options });
  return (value) => written.format(value);
}

function days(zone) {
  const written = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: zone });
  return (value) => written.format(value);
}

// As many of the values as can be written side by side, the last one always.
function some(values, width) {
  const step = Math.ceil(values.length / (width / 70));
  return values.filter((_, index) => (values.length - 1 - index) % step === 0);
}

const draw = {
  // Each arm's difference with its interval; a rule at zero, the relevant difference or the harm that is not accepted.
  intervals(data, width) {
    const rows = data.comparisons.map((each) => ({
      arm: each.against === "control" ? each.arm : `${each.arm} / ${each.against}`,
      color: arm(data.arms.indexOf(each.arm)),
      low: data.scale * each.interval[0],
      high: data.scale * each.interval[1],
      difference: data.scale * each.difference,
    }));
    const marks = data.mark ? [{ ...data.mark, at: data.scale * data.mark.at }] : [];
    const ends = rows.flatMap((row) => [row.low, row.high]).concat(marks.map((mark) => mark.at));
    const edge = 1.08 * Math.max(...ends.map(Math.abs), 1e-9);
    return Plot.plot({
      width, height: 84 + 46 * rows.length, marginLeft: 16, marginRight: 16, marginTop: 28, marginBottom: 44, style,
      x: {
        label: data.label, tickFormat: numbers({ signDisplay: "exceptZero" }), labelAnchor: "center",
        labelArrow: "none", labelOffset: 40, domain: [-edge, edge], ticks: width / 90,
      },
      y: { axis: null, domain: rows.map((row) => row.arm) },
      marks: [
        Plot.rectX(marks, { x1: "at", x2: (mark) => mark.side * edge, fill: (mark) => `var(--${mark.kind})`, fillOpacity: 0.55 }),
        ...marks.map((mark) => Plot.text([mark], {
          x: mark.side * edge, text: "text", frameAnchor: "top", dy: -16, textAnchor: mark.side > 0 ? "end" : "start", fill: "var(--quiet)",
        })),
        Plot.ruleX([0], { stroke: "var(--ink)" }),
        Plot.text(rows, {
          x: -edge, y: "arm", text: "arm", textAnchor: "start", dy: -15, fill: "var(--ink)", stroke: "var(--card)", strokeWidth: 4,
        }),
        Plot.ruleY(rows, { x1: "low", x2: "high", y: "arm", stroke: "color", strokeWidth: 5, strokeLinecap: "round" }),
        Plot.dot(rows, { x: "difference", y: "arm", r: 6, fill: "var(--card)", stroke: "color", strokeWidth: 3 }),
      ],
    });
  },

  // New callers a day, an arm on top of the other.
  days(data, width) {
    const rows = Object.entries(data.days).flatMap(([day, arms]) => (
      data.arms.filter((name) => name in arms).map((name) => ({ day: new Date(day), arm: name, callers: arms[name] }))
    ));
    const [first, last] = d3.extent(rows, (row) => row.day);
    return Plot.plot({
      width, height: 240, style,
      x: { label: null, type: "utc", tickFormat: days("UTC"), ticks: some(d3.utcDay.range(first, d3.utcDay.offset(last)), width) },
      y: { label: data.label, labelAnchor: "top", labelArrow: "none", grid: true, tickFormat: numbers() },
      color: { domain: data.arms, range: data.arms.map((_, index) => arm(index)) },
      marks: [Plot.rectY(rows, { x: "day", interval: "day", y: "callers", fill: "arm", insetLeft: 0.5, insetRight: 0.5 }), Plot.ruleY([0])],
    });
  },

  // The interval of one comparison, week by week.
  weeks(data, width) {
    const rows = data.rows.map((row) => ({ until: new Date(row.until), low: data.scale * row.low, high: data.scale * row.high }));
    const color = arm(data.index);
    return Plot.plot({
      width, height: 240, style,
      x: { label: null, type: "time", tickFormat: days(document.body.dataset.zone), ticks: some(rows.map((row) => row.until), width) },
      y: { label: data.label, labelAnchor: "top", labelArrow: "none", tickFormat: numbers({ signDisplay: "exceptZero" }), grid: true },
      marks: [
        Plot.areaY(rows, { x: "until", y1: "low", y2: "high", fill: color, fillOpacity: 0.25 }),
        ...["low", "high"].flatMap((end) => [
          Plot.lineY(rows, { x: "until", y: end, stroke: color, strokeWidth: 2 }),
          Plot.dot(rows, { x: "until", y: end, r: 2, fill: color }),
        ]),
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
