/** What a person did to a page outlives the page being made again: open rows, filters, the focus. */

import { all, one } from "./dom";

const FOCUSABLE = "a[href], button, input, select, summary, [tabindex]";
const TYPED = ".table-tools input, input:focus";

/** Look at what is there; the answer does the same to what came in its place. */
export function keep(old: Element): (fresh: Element) => void {
  const open = new Map(named(details(old)).map(([name, summary]) => [name, unfolded(summary)]));
  const typed = new Map(named(all<HTMLInputElement>(TYPED, old)).map(([name, input]) => [name, input.value]));
  const sorted = new Map(named(all("th[aria-sort]", old)).map(([name, head]) => [name, head.getAttribute("aria-sort")]));
  const held = named(all(FOCUSABLE, old)).find(([, element]) => element === document.activeElement)?.[0];
  const [left, top] = [window.scrollX, window.scrollY];
  return (fresh) => {
    for (const [name, summary] of named(details(fresh))) unfolded(summary, open.get(name));
    for (const [name, input] of named(all<HTMLInputElement>("input", fresh))) {
      if ((typed.get(name) ?? input.value) === input.value) continue;
      input.value = typed.get(name)!;
      input.dispatchEvent(new Event("input"));
    }
    for (const [name, head] of named(all("th", fresh))) {
      const clicks = ["", "ascending", "descending"].indexOf(sorted.get(name) ?? "");
      for (let n = 0; n < clicks; n++) one("button", head)?.click();
    }
    if (held && !fresh.contains(document.activeElement)) {
      named(all(FOCUSABLE, fresh)).find(([name]) => name === held)?.[1].focus({ preventScroll: true });
    }
    window.scrollTo(left, top);
  };
}

function details(within: Element): HTMLElement[] {
  return all("details > summary", within);
}

function unfolded(summary: HTMLElement, open?: boolean): boolean {
  const box = summary.parentElement as HTMLDetailsElement;
  return (box.open = open ?? box.open);
}

/** Elements by what they say; of those that say the same, by their order. */
function named<T extends Element>(elements: T[]): [string, T][] {
  const count = new Map<string, number>();
  return elements.map((element) => {
    const signs = ["href", "name", "aria-label", "data-zoom"].map((name) => element.getAttribute(name));
    const says = [element.tagName, ...signs, element.textContent?.trim()].join("\n");
    count.set(says, (count.get(says) ?? 0) + 1);
    return [`${says}\n${count.get(says)}`, element];
  });
}
