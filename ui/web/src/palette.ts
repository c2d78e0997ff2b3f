/** ⌘K: everything that has a name, from anywhere, by keyboard. */

import { all, debounced, made, one, typing } from "./dom";
import { visit } from "./page";

type Hit = { kind: string; id: string; type: string; name: string; key?: string; uri?: string; version?: string | null };
type Entry = { href: string; title: string; word: string; note: string };

let dialog: HTMLDialogElement | null = null;
let asking: AbortController | null = null;

export function palette(): void {
  document.addEventListener("keydown", (event) => {
    const wanted = (event.key === "k" && (event.metaKey || event.ctrlKey)) || (event.key === "/" && !typing(event));
    if (!wanted) return;
    event.preventDefault();
    open();
  });
}

function open(): void {
  dialog ??= build();
  if (dialog.open) return;
  dialog.showModal();
  const input = one<HTMLInputElement>("input", dialog)!;
  input.select();
  void ask(input.value);
}

function build(): HTMLDialogElement {
  const input = made("input", {
    type: "search", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-hits", "aria-autocomplete": "list",
    "aria-label": "Search", placeholder: "A model, dataset, commit, digest, run, page…", autocomplete: "off", spellcheck: "false", maxlength: "400",
  });
  const hits = made("ul", { id: "palette-hits", role: "listbox", "aria-label": "Found" });
  const foot = made("p", { class: "keys" }, "↑ ↓ to choose · Enter to open · Esc to close");
  const box = made("dialog", { id: "palette", "aria-label": "Search" }, input, hits, foot);
  const later = debounced(70, () => void ask(input.value));
  input.addEventListener("input", later);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter") go(one('[aria-selected="true"]', box), input.value);
    else return;
    event.preventDefault();
  });
  box.addEventListener("click", (event) => {
    const option = (event.target as Element).closest<HTMLElement>('[role="option"]');
    if (option && (event.metaKey || event.ctrlKey)) window.open(option.dataset["href"]);
    else if (option) go(option, "");
    else if (event.target === box) box.close();
  });
  document.body.append(box);
  return box;
}

/** To what was chosen, else to all that the words find. */
function go(chosen: HTMLElement | null, words: string): void {
  dialog?.close();
  const href = chosen?.dataset["href"] ?? (words.trim() && `/search?q=${encodeURIComponent(words.trim())}`);
  if (href) void visit(new URL(href, location.href));
}

async function ask(text: string): Promise<void> {
  asking?.abort();
  const mine = (asking = new AbortController());
  const words = text.trim().toLowerCase();
  const pages = all<HTMLAnchorElement>(".rail a.place")
    .map((link) => ({ href: link.href, title: link.textContent?.trim() ?? "", word: "Page", note: "" }))
    .filter((entry) => entry.title.toLowerCase().includes(words));
  if (!words) return show(pages, "");
  try {
    const answer = await fetch(`/api/v1/search?limit=12&q=${encodeURIComponent(text.trim())}`, { signal: mine.signal });
    const found = (await answer.json()) as { items?: Hit[]; detail?: string };
    if (!answer.ok) return show(pages, found.detail ?? "The search failed.");
    const entries = (found.items ?? []).map(entry);
    show([...entries, ...pages], entries.length ? "" : "Nothing is called that. Names, URIs, commits, digests and parameters are searched.");
  } catch {
    if (!mine.signal.aborted) show(pages, "The server did not answer.");
  }
}

function entry(hit: Hit): Entry {
  const action = hit.kind === "action";
  const href = hit.uri?.startsWith("k8s://") || !action ? `/lineage?of=${hit.id}` : `/actions/${encodeURIComponent(hit.key ?? hit.id)}`;
  return { href, title: hit.name, word: hit.type, note: (action ? hit.key : hit.uri + (hit.version ? `@${hit.version}` : "")) ?? "" };
}

function show(entries: Entry[], message: string): void {
  const list = one("#palette-hits")!;
  list.replaceChildren(
    ...(message ? [made("li", { class: "muted", role: "presentation" }, message)] : []),
    ...entries.map((entry, n) => {
      // Not a link: what is inside an option cannot be reached by a screen reader.
      const about = { role: "option", id: `hit-${n}`, "aria-selected": String(n === 0), "data-href": entry.href };
      return made("li", about, made("b", {}, entry.title), made("small", {}, entry.word), made("code", {}, entry.note));
    }),
  );
  point();
}

function move(by: number): void {
  const options = all('[role="option"]', dialog!);
  const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  options.forEach((option, n) => option.setAttribute("aria-selected", String(n === (at + by + options.length) % options.length)));
  point();
}

function point(): void {
  const chosen = one('[aria-selected="true"]', dialog!);
  one("input", dialog!)!.setAttribute("aria-activedescendant", chosen?.id ?? "");
  chosen?.scrollIntoView({ block: "nearest" });
}
