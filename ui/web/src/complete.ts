/** Completes the last word of a selection: fields, what they can be, and nodes on the page. */

import { all, made, on, one, type Undo } from "./dom";

const WORDS = ["and", "or", "not"];

export function complete(): Undo {
  const input = one<HTMLInputElement>("input[name=select]");
  const list = one<HTMLDataListElement>("#selection-words");
  if (!input || !list) return () => undefined;
  const known = [...all<HTMLOptionElement>("option", list).map((option) => option.value), ...WORDS];
  return on(input, "input", () => {
    const [, before = "", last = ""] = /^(.*?)([^\s()]*)$/s.exec(input.value) ?? [];
    const plus = /^(\d*\+)?/.exec(last)?.[0] ?? "";
    const begun = last.slice(plus.length).toLowerCase();
    const fit = known.filter((word) => word.toLowerCase().includes(begun)).slice(0, 20);
    list.replaceChildren(...fit.map((word) => made("option", { value: before + plus + word })));
  });
}
