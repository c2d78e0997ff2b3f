/** The walk so far, as a breadcrumb: what led here, kept with each entry of the history. */

import { all, made, one } from "./dom";

type Step = { href: string; title: string };
/** More would leave no room for the name of the page. */
const MOST = 4;

function walked(): Step[] {
  return (history.state as { walk?: Step[] } | null)?.walk ?? [];
}

/** The state of the entry that another page gets: back to a step of the walk, else one longer;
 * a section of the rail begins anew. */
export function onwards(to: URL): { walk: Step[] } {
  const here = new URL(location.href);
  if (alike(here, to)) return { walk: walked() };
  if (!thing(to)) return { walk: [] };
  const title = one("#crumbs li:last-child")?.textContent?.trim() ?? "";
  const steps = [...walked(), { href: here.href, title }];
  const known = steps.findIndex((step) => alike(new URL(step.href), to));
  return { walk: (known < 0 ? steps : steps.slice(0, known)).slice(-MOST) };
}

export function walk(): void {
  const [crumbs, steps] = [one("#crumbs"), walked()];
  const last = crumbs?.lastElementChild;
  if (!crumbs || !last || !steps.length) return;
  crumbs.replaceChildren(...steps.map(({ href, title }) => made("li", {}, made("a", { href, title }, title))), last);
}

/** What a page is about, where it is about one thing. */
function thing(url: URL): string {
  const sections = all<HTMLAnchorElement>(".rail a.place").map((place) => new URL(place.href).pathname);
  const about = ["of", "a", "b", "select"].map((name) => url.searchParams.get(name) ?? "").join(" ").trim();
  return sections.includes(url.pathname) && !about ? "" : `${url.pathname} ${about}`;
}

/** Two views of one thing, however they differ in what is folded, filtered or selected. */
function alike(one: URL, other: URL): boolean {
  return one.pathname === other.pathname && thing(one) === thing(other);
}
