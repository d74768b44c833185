"use strict";

const main = document.getElementById("main");
const LONGEST = 30; // seconds between two looks for newer results

// Buttons that need a script are hidden until one has seen that the browser can do what they say.
function reveal(root) {
  const can = { "button.speak": window.speechSynthesis, "button.copy": navigator.clipboard };
  for (const [buttons, able] of Object.entries(can)) {
    for (const button of root.querySelectorAll(buttons)) button.hidden = !able;
  }
}

// For the whole document, so that buttons of replaced regions work too.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.speak, button.copy");
  if (!button) return;
  if (button.matches(".speak")) {
    const words = new SpeechSynthesisUtterance(button.dataset.words);
    words.lang = button.lang; // which the caller would hear
    speechSynthesis.cancel();
    speechSynthesis.speak(words);
  } else {
    await navigator.clipboard.writeText(button.dataset.text);
    button.textContent = button.dataset.done;
  }
});

// Makes a node like a fresh one, child by child, so that what is open, focused, typed, selected or scrolled stays so.
function patch(node, fresh) {
  if (node.isEqualNode(fresh)) return;
  if (node.nodeName !== fresh.nodeName || node.id !== fresh.id) {
    node.replaceWith(fresh);
  } else if (node.nodeType !== Node.ELEMENT_NODE) {
    node.data = fresh.data;
  } else {
    for (const name of new Set([...node.getAttributeNames(), ...fresh.getAttributeNames()])) {
      if (name === "open") continue;
      if (fresh.hasAttribute(name)) node.setAttribute(name, fresh.getAttribute(name));
      else node.removeAttribute(name);
    }
    const children = [...fresh.childNodes];
    while (node.childNodes.length > children.length) node.lastChild.remove();
    children.forEach((child, place) => {
      if (place < node.childNodes.length) patch(node.childNodes[place], child);
      else node.append(child);
    });
  }
}

// Loads this page's address anew and brings its live regions up to date; returns whether to go on doing so.
async function update() {
  const response = await fetch(location.href, { signal: AbortSignal.timeout(1000 * LONGEST) });
  if (response.status >= 500) return true;
  if (!response.ok || response.redirected) return false;
  const regions = document.querySelectorAll("[data-live]");
  if (!regions.length) {
    // A page that said that there is nothing yet: now there is, which may be a file.
    await response.body.cancel();
    location.reload();
    return false;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  reveal(page);
  for (const region of regions) {
    const fresh = page.getElementById(region.id);
    if (fresh) patch(region, fresh);
  }
  for (const mark of ["data-computing", "data-updating"]) {
    main.toggleAttribute(mark, page.getElementById("main").hasAttribute(mark));
  }
  return true;
}

// While the document is visible: soon and then ever less often while newer results are being computed, else seldom.
async function stayUpToDate() {
  let delay = 1;
  let goes = main.hasAttribute("data-updating") || document.querySelector("[data-live]") !== null;
  while (goes) {
    const isUpdating = main.hasAttribute("data-updating");
    delay = isUpdating ? delay : LONGEST;
    await new Promise((resolve) => setTimeout(resolve, 1000 * delay));
    while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    try {
      goes = await update();
    } catch {
      // The server does not answer, perhaps while it starts anew.
    }
    delay = isUpdating ? Math.min(2 * delay, LONGEST) : 1;
    if (goes) plots();
  }
}

reveal(document);
stayUpToDate();

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

function plots() {
  if (window.Plot) document.querySelectorAll("[data-plot]").forEach(show);
}

plots();
let width = window.innerWidth;
addEventListener("resize", () => {
  if (window.innerWidth !== width) plots();
  width = window.innerWidth;
});
