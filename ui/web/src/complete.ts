/** Completes the last word of a selection: fields with what they can be, and what is in the graph. */

import { all, made, on, one, type Undo } from "./dom";

type Word = { text: string; says: string };

const WORDS: Word[] = [
  { text: "and", says: "both" }, { text: "or", says: "either" }, { text: "not", says: "all but" }, { text: "name:", says: "by name, * stands for anything" },
];
const MOST = 12;

/** The browser's own list knows only how a text begins: here a word fits wherever it is. */
export function complete(): Undo {
  const input = one<HTMLInputElement>(".selection input[name=select]");
  const known = input?.form && one<HTMLDataListElement>("#selection-words");
  if (!input || !known) return () => undefined;
  const words = [...all<HTMLOptionElement>("option", known).map(({ value, label }) => ({ text: value, says: label })), ...WORDS];
  const list = made("ul", { id: "completions", role: "listbox", "aria-label": "Words of a selection", hidden: "" });
  input.removeAttribute("list");
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": list.id, "aria-autocomplete": "list", "aria-expanded": "false" })) input.setAttribute(name, value);
  input.after(list);
  let chosen = -1;

  const options = (): HTMLElement[] => all('[role="option"]', list);
  const choose = (n: number): void => {
    chosen = n;
    options().forEach((option, at) => option.setAttribute("aria-selected", String(at === n)));
    const here = options()[n];
    input.setAttribute("aria-activedescendant", here?.id ?? "");
    here?.scrollIntoView({ block: "nearest" });
  };
  const close = (): void => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    choose(-1);
  };
  const open = (): void => {
    const fit = fitting(words, lastWord(input.value).begun);
    list.replaceChildren(...fit.map(({ text, says }, n) => made("li", { role: "option", id: `completion-${n}`, "data-word": text, "aria-selected": "false" }, made("code", {}, text), made("small", {}, says))));
    list.hidden = fit.length === 0;
    input.setAttribute("aria-expanded", String(fit.length > 0));
    choose(-1);
  };
  const take = (option: HTMLElement): void => {
    const word = option.dataset["word"] ?? "";
    input.value = lastWord(input.value).before + word + (word.endsWith(":") ? "" : " ");
    input.focus();
    open();
  };
  const key = (event: KeyboardEvent): void => {
    const count = options().length;
    if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "ArrowDown" && list.hidden) open();
    else if (event.key === "ArrowDown") choose((chosen + 1) % count);
    else if (event.key === "ArrowUp" && count) choose((chosen - 1 + count) % count);
    else if ((event.key === "Enter" || event.key === "Tab") && !list.hidden && options()[chosen]) take(options()[chosen]!);
    else return;
    event.preventDefault();
  };
  const undo = [
    on(input, "input", open), on(input, "keydown", key), on(input, "blur", close),
    // The field keeps the focus.
    on(list, "pointerdown", (event) => event.preventDefault()),
    on(list, "click", (event) => {
      const option = (event.target as Element).closest<HTMLElement>('[role="option"]');
      if (option) take(option);
    }),
  ];
  return () => undo.forEach((end) => end());
}

/** What stands before the last word, steps such as `2+` and brackets included; and the word. */
export function lastWord(text: string): { before: string; begun: string } {
  const [, before = "", begun = ""] = /^(.*?(?:^|[\s()])(?:\d*\+)?)("[^"]*|[^\s()"]*(?:"[^"]*)?)$/s.exec(text) ?? ["", text, ""];
  return { before, begun };
}

/** First what begins like this, or whose value does, then what holds it anywhere; nothing that
 * is written already. */
function fitting(words: Word[], begun: string): Word[] {
  const sought = plain(begun);
  const fit = words.filter((word) => word.text !== begun && plain(word.text).includes(sought));
  const begins = (word: Word): boolean => plain(word.text).startsWith(sought) || plain(word.text).includes(`:${sought}`);
  return [...fit.filter(begins), ...fit.filter((word) => !begins(word))].slice(0, MOST);
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll('"', "");
}
