// Appended to a copy of the report: looks at the page as a reader would and leaves its findings in the DOM.
"use strict";
addEventListener("load", async () => {
  const failures = [];
  let count = 0;
  const check = (what, truth) => {
    count += 1;
    if (!truth) failures.push(what);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const tick = () => new Promise((done) => setTimeout(done, 50));

  for (const id of ["parts", "images", "filters", "trust", "figures", "training", "settings"]) {
    check(`section ${id}`, document.querySelector(`section#${id} h2`));
  }
  check("a title and one main heading", document.title !== "" && all("h1").length === 1);
  check("trust has checks, each with a figure", all(".checks li").length >= 10
    && all(".checks .found").every((found) => found.textContent.trim() !== ""));

  // Nothing from outside, nothing that leads nowhere.
  const ids = all("[id]").map((element) => element.id);
  check("ids are unique", new Set(ids).size === ids.length);
  for (const link of all("a[href]")) {
    const href = link.getAttribute("href");
    check(`link ${href}`, href.startsWith("#") && ids.includes(href.slice(1)));
  }
  for (const element of all("[src], image[href], link[href]")) {
    check("a source within the file", (element.getAttribute("src") ?? element.getAttribute("href")).startsWith("data:"));
  }
  check("no network", performance.getEntriesByType("resource").every((entry) => entry.name.startsWith("data:")));

  // Pictures: with texts, and whole.
  const pictures = all("img");
  check("pictures", pictures.length > 20);
  check("alternative texts", pictures.every((picture) => picture.hasAttribute("alt")));
  check("empty ones only where a text stands beside", pictures.every((picture) => picture.alt !== "" || picture.closest("summary")));
  check("drawings have texts", all("svg").every((svg) => svg.hasAttribute("aria-hidden") || svg.getAttribute("aria-label")));
  for (const picture of pictures) {
    // One that waits for its turn in a closed page never comes by itself. Its sizes are those it was given.
    const copy = new Image();
    const whole = await new Promise((done) => {
      copy.onload = () => done(copy.naturalWidth === Number(picture.getAttribute("width")));
      copy.onerror = () => done(false);
      copy.src = picture.src;
    });
    check(`picture ${picture.alt}`, whole);
  }

  // Names of parts are whole, however narrow their cards.
  const names = all("#filter-list .name .of");
  check("names of parts are whole", names.every((name) => name.scrollWidth <= name.clientWidth + 1));

  // The account of every prediction adds up, as it is printed.
  const value = (cell) => Number(cell.textContent.replace("−", "-"));
  for (const table of all(".image .page > table.bars")) {
    const gave = [...table.querySelectorAll("tbody tr")].map((row) => value(row.querySelector(".num")));
    const score = value(table.querySelector("tfoot .num"));
    const rounding = 0.005 * (gave.length + 1) + 1e-3 * Math.abs(score);
    check(`bars add up to ${score}`, Math.abs(gave.reduce((sum, v) => sum + v, 0) - score) <= rounding);
  }

  // Sorting and searching.
  const cards = () => all("#filter-list > details");
  const shown = () => cards().filter((card) => !card.hidden);
  const [sort, search] = [document.getElementById("sort"), document.getElementById("search")];
  const set = async (control, value, event) => {
    control.value = value;
    control.dispatchEvent(new Event(event, { bubbles: true }));
    await tick();
  };
  for (const [key, sign] of [["contribution", -1], ["activation", -1], ["instability", 1], ["tracking", -1], ["number", 1]]) {
    await set(sort, key, "change");
    const values = cards().map((card) => sign * Number(card.dataset[key]));
    check(`sorted by ${key}`, values.every((v, at) => at === 0 || values[at - 1] <= v));
  }
  await set(search, "3", "input");
  check("found by number", shown().length === 1 && shown()[0].id === "filter-3");
  const word = cards()[0].dataset.words;
  await set(search, word, "input");
  check("found by part", shown().length > 0 && shown().every((card) => card.dataset.words.includes(word)));
  await set(search, "no such part", "input");
  check("nothing found", shown().length === 0 && document.getElementById("shown").textContent.startsWith("0 of"));

  // A link opens a page, even one that the search hides; a key opens the next.
  location.hash = "#filter-5";
  await tick();
  const page = document.getElementById("filter-5");
  check("a link opens a filter", page.open && !page.hidden);
  check("and moves the focus there", document.activeElement === page.querySelector("summary"));
  await set(search, "", "input");
  check("all are back", shown().length === cards().length);
  check("pages can be reached by keyboard", all("summary").every((summary) => summary.tabIndex === 0));
  page.open = false;
  history.replaceState(null, "", location.pathname);

  // Paper: everything open but the filters' pages, and as it was afterwards.
  const open = () => all("details[open]").length;
  const before = open();
  dispatchEvent(new Event("beforeprint"));
  check("open on paper", all("details:not(.filter)").every((page) => page.open) && all("details.filter[open]").length === 0);
  dispatchEvent(new Event("afterprint"));
  check("closed again", open() === before);

  check(`no wider than the window: ${document.documentElement.scrollWidth} of ${innerWidth}`,
    document.documentElement.scrollWidth <= innerWidth);
  const result = failures.length === 0 ? `PASSED ${count} checks` : `FAILED ${failures.join("; ")}`;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? ", dark" : "";
  document.body.insertAdjacentHTML("beforeend", `<p id="result"></p>`);
  document.getElementById("result").textContent = `${result} at ${innerWidth} pixels${dark}`;
});
