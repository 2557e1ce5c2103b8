"use strict";
document.documentElement.classList.add("js");

// Filters: sort and search. Without this script they stand in the order of their numbers.
const list = document.getElementById("filter-list");
const cards = [...list.children];
const [sort, search, shown] = ["sort", "search", "shown"].map((id) => document.getElementById(id));

function arrange() {
  const key = sort.value;
  const upwards = key === "number" || key === "instability";
  const value = (card, key) => Number(card.dataset[key]);
  cards.sort((a, b) => (upwards ? value(a, key) - value(b, key) : value(b, key) - value(a, key))
    || value(a, "number") - value(b, "number"));
  list.append(...cards);
  filter();
}

function filter() {
  const words = search.value.trim().toLowerCase();
  const hit = (card) => /^\d+$/.test(words) ? card.dataset.number === String(Number(words)) : card.dataset.words.includes(words);
  let count = 0;
  for (const card of cards) {
    card.hidden = !hit(card);
    count += !card.hidden;
  }
  shown.textContent = count === cards.length ? `${count} filters` : `${count} of ${cards.length} filters`;
}

sort.addEventListener("change", arrange);
search.addEventListener("input", filter);
search.form.addEventListener("submit", (event) => event.preventDefault());
arrange();

// A link to a filter or an image opens it.
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.hidden = false;
    target.open = true;
    target.scrollIntoView({ block: "start" });
    target.querySelector("summary").focus({ preventScroll: true });
  }
}
addEventListener("hashchange", follow);
follow();

// Paper has no clicks: all is opened for it, but for the filters' pages, hundreds as they are.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not(.filter):not([open])")];
  closed.forEach((page) => { page.open = true; });
  document.querySelectorAll("img[loading]").forEach((picture) => { picture.loading = "eager"; });
});
addEventListener("afterprint", () => closed.forEach((page) => { page.open = false; }));
