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
  }
}

reveal(document);
stayUpToDate();
