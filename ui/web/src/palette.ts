/** ⌘K: everything that has a name, from anywhere, by keyboard. */

import { all, debounced, made, one, typing } from "./dom";
import { visit } from "./page";

type Hit = { kind: string; id: string; type: string; name: string; key?: string; uri?: string; version?: string | null };
type Entry = { href: string; title: string; word: string; note: string };

let dialog: HTMLDialogElement | null = null;
let asking: AbortController | null = null;
/** What was asked last, and its answer. */
let last: { text: string; shown: Promise<void> } | null = null;
const MOST = 12;
/** Versions of one thing are one entry, so more are asked for than are shown. */
const ASKED = 40;

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
  last = null;
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
    else if (event.key === "Enter") void enter(input);
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

/** Of a text that was typed faster than it was answered, the answer counts, not the one before. */
async function enter(input: HTMLInputElement): Promise<void> {
  const text = input.value;
  await ask(text);
  if (dialog?.open && input.value === text) go(one('[aria-selected="true"]', dialog), text);
}

/** To what was chosen, else to all that the words find. */
function go(chosen: HTMLElement | null, words: string): void {
  dialog?.close();
  const href = chosen?.dataset["href"] ?? (words.trim() && `/search?q=${encodeURIComponent(words.trim())}`);
  if (href) void visit(new URL(href, location.href));
}

function ask(text: string): Promise<void> {
  if (last?.text !== text) last = { text, shown: answer(text) };
  return last.shown;
}

async function answer(text: string): Promise<void> {
  asking?.abort();
  const mine = (asking = new AbortController());
  const words = text.trim().toLowerCase();
  const pages = all<HTMLAnchorElement>(".rail a.place")
    .map((link) => ({ href: link.href, title: link.textContent?.trim() ?? "", word: "Page", note: "" }))
    .filter((entry) => entry.title.toLowerCase().includes(words));
  if (!words) return show(pages, "");
  try {
    const got = await fetch(`/api/v1/search?limit=${ASKED}&q=${encodeURIComponent(text.trim())}`, { signal: mine.signal });
    const found = (await got.json()) as { items?: Hit[]; detail?: string };
    if (mine.signal.aborted) return;
    if (!got.ok) return show(pages, found.detail ?? "The search failed.");
    const named = (thing: Hit[]): number => Number(thing[0]!.name.toLowerCase() !== words);
    const entries = things(found.items ?? []).sort((a, b) => named(a) - named(b)).slice(0, MOST).map(entry);
    show([...entries, ...pages], entries.length ? "" : "Nothing is called that. Names, URIs, commits, digests and parameters are searched.");
  } catch {
    if (!mine.signal.aborted) show(pages, "The server did not answer.");
  }
}

/** Each thing once, where its best version was found; what is called just that comes first. */
function things(hits: Hit[]): Hit[][] {
  const found = new Map<string, Hit[]>();
  for (const hit of hits) {
    const thing = hit.kind === "artifact" ? `${hit.type} ${hit.uri}` : hit.id;
    found.set(thing, [...(found.get(thing) ?? []), hit]);
  }
  return [...found.values()];
}

/** One version leads to its graph, several to that of all. */
function entry([hit, ...others]: Hit[]): Entry {
  const { id, kind, type, name, key = id, uri = "", version } = hit!;
  if (kind === "action") return { href: `/actions/${encodeURIComponent(id)}`, title: name, word: type, note: key };
  if (others.length) return { href: `/lineage?of=${encodeURIComponent(uri)}`, title: name, word: type, note: `${uri} · every version` };
  return { href: `/lineage?of=${id}`, title: name, word: type, note: uri + (version ? `@${version}` : "") };
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
