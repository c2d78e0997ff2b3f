/**
 * Going from page to page without losing what is on screen: the server makes every page whole,
 * so a visit fetches the next one and swaps what differs. Without script the same links work.
 */

import { all, one, say } from "./dom";
import { keep } from "./keep";
import { onwards } from "./walk";

export type Visit = {
  /** Take the place of this entry of the history, as a slider does. */
  replace?: boolean;
  /** Stay where the page is scrolled to, and do not move the focus. */
  quiet?: boolean;
};

const SWAPPED = ["#crumbs", "#band", "#main", "#time"];

let arrive: (quiet: boolean) => void = () => undefined;
let pending: AbortController | null = null;

/** `leave` runs before, `start` after the page was changed. */
export function pages(leave: (quiet: boolean) => void, start: (quiet: boolean) => void): void {
  arrive = start;
  leaving = leave;
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement | SVGAElement>("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(typeof link.href === "string" ? link.href : link.href.baseVal, location.href);
    if (!ours(url) || link.hasAttribute("download") || link.getAttribute("target")) return;
    if (url.hash && url.pathname === location.pathname && url.search === location.search) return;
    event.preventDefault();
    const quiet = link.dataset["quiet"] !== undefined;
    void visit(quiet ? keeping(url) : url, { quiet });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (event.defaultPrevented || form.method !== "get") return;
    const url = new URL(form.action || location.href, location.href);
    if (!ours(url)) return;
    event.preventDefault();
    void visit(query(url, form));
  });
  window.addEventListener("popstate", () => void visit(new URL(location.href), { replace: true }));
}

let leaving: (quiet: boolean) => void = () => undefined;

/** The address a form leads to; what is empty is left out, so that addresses stay short. */
export function query(url: URL, form: HTMLFormElement): URL {
  const filled = [...new FormData(form)].filter((pair): pair is [string, string] => typeof pair[1] === "string" && pair[1] !== "");
  url.search = new URLSearchParams(filled).toString();
  return url;
}

/** This page with some of its parameters changed; an empty one is taken out. */
export function changed(parameters: Record<string, string>): URL {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url;
}

/** The same with what is selected on this page, where it is a view of the same. */
export function keeping(url: URL): URL {
  const selected = new URL(location.href).searchParams.get("selected");
  if (selected) url.searchParams.set("selected", selected);
  return url;
}

export async function visit(url: URL, { replace = false, quiet = false }: Visit = {}): Promise<void> {
  pending?.abort();
  const mine = (pending = new AbortController());
  const slow = window.setTimeout(() => document.body.classList.add("waiting"), 150);
  try {
    const answer = await fetch(url, { signal: mine.signal, headers: { accept: "text/html" } });
    const type = answer.headers.get("content-type") ?? "";
    if (!type.startsWith("text/html")) return location.assign(url);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine.signal.aborted) return;
    leaving(quiet);
    const landed = new URL(answer.redirected ? answer.url : url.href);
    if (replace) history.replaceState(history.state, "", landed);
    else history.pushState(onwards(landed), "", landed);
    const again = quiet ? keep() : null;
    swap(next);
    if (!quiet) settle(landed);
    arrive(quiet);
    again?.();
  } catch (error) {
    if (mine.signal.aborted) return;
    say("The server did not answer; trying the page as a whole.");
    if (!quiet) location.assign(url);
  } finally {
    window.clearTimeout(slow);
    if (pending === mine) document.body.classList.remove("waiting");
  }
}

function ours(url: URL): boolean {
  return url.origin === location.origin && !url.pathname.startsWith("/api/") && !url.pathname.startsWith("/static/");
}

function swap(next: Document): void {
  document.title = next.title;
  document.body.className = next.body.className;
  document.body.classList.toggle("with-panel", one("#panel:not([hidden])") !== null);
  for (const selector of SWAPPED) {
    const [old, fresh] = [one(selector), one(selector, next)];
    // Whoever holds the slider goes on holding it.
    if (old?.contains(document.activeElement) && selector === "#time") continue;
    if (old && fresh) old.replaceWith(document.adoptNode(fresh));
  }
  const places = all<HTMLAnchorElement>(".rail a.place", next);
  all<HTMLAnchorElement>(".rail a.place").forEach((place, n) => {
    const other = places[n];
    if (!other) return;
    place.setAttribute("href", other.getAttribute("href") ?? "/");
    if (other.hasAttribute("aria-current")) place.setAttribute("aria-current", "page");
    else place.removeAttribute("aria-current");
  });
}

function settle(url: URL): void {
  const target = url.hash ? one(url.hash) : null;
  if (target) target.scrollIntoView();
  else window.scrollTo(0, 0);
  const main = one("#main");
  main?.setAttribute("tabindex", "-1");
  main?.focus({ preventScroll: true });
}
