/** What somebody did to a page and no address holds, kept when the page is made again by itself. */

import { all, one } from "./dom";
import { narrow, sort } from "./tables";

/** Note it now; calling the answer does it again to the new page. */
export function keep(): () => void {
  const folds = new Map(all<HTMLDetailsElement>("#main details").map((fold) => [name(fold), fold.open]));
  const tables = all<HTMLTableElement>("#main table[data-sortable]").map((table) => {
    const heads = all<HTMLTableCellElement>("thead th, thead td", table);
    const column = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    const down = heads[column]?.getAttribute("aria-sort") === "descending";
    return { column, down, words: filter(table)?.value ?? "" };
  });
  const held = named().find(([, element]) => element === document.activeElement)?.[0];
  return () => {
    for (const fold of all<HTMLDetailsElement>("#main details")) fold.open = folds.get(name(fold)) ?? fold.open;
    all<HTMLTableElement>("#main table[data-sortable]").forEach((table, n) => {
      const { column, down, words } = tables[n] ?? { column: -1, down: false, words: "" };
      const head = all<HTMLTableCellElement>("thead th, thead td", table)[column];
      if (head) sort(table, column, head, down);
      const input = filter(table);
      if (!input || !words) return;
      input.value = words;
      narrow(table, words);
    });
    if (held && !one("#main :focus")) named().find(([says]) => says === held)?.[1].focus({ preventScroll: true });
  };
}

function filter(table: HTMLTableElement): HTMLInputElement | null {
  const bar = (table.closest(".scroll") ?? table).previousElementSibling;
  return bar?.classList.contains("table-tools") ? one<HTMLInputElement>("input", bar) : null;
}

/** What can have the focus, by what it says; of those that say the same, by their order. */
function named(): [string, HTMLElement][] {
  const count = new Map<string, number>();
  return all("#main :is(a[href], button, input, select, summary, [tabindex])").map((element) => {
    const says = [element.tagName, element.getAttribute("href"), element.getAttribute("name"), element.textContent?.trim()].join(" ");
    const n = (count.get(says) ?? 0) + 1;
    count.set(says, n);
    return [`${says} ${n}`, element];
  });
}

function name(fold: HTMLDetailsElement): string {
  return fold.dataset["fold"] ?? one("summary", fold)?.textContent?.trim() ?? "";
}
