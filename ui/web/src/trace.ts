/** The way of one node: to its sources and on to production stays lit, the rest fades. */

import { all } from "./dom";

export class Trace {
  private readonly before = new Map<string, string[]>();
  private readonly after = new Map<string, string[]>();
  private readonly links: SVGGElement[];

  constructor(private readonly root: HTMLElement, private readonly nodes: SVGGElement[]) {
    this.links = all<SVGGElement>(".g-link", root);
    for (const [from, to] of this.links.map(ends)) {
      push(this.after, from, to);
      push(this.before, to, from);
    }
  }

  /** What leads to this node, and what it leads to. */
  way(node: SVGGElement): Set<string> {
    return new Set([...reach(this.before, node.id), ...reach(this.after, node.id)]);
  }

  /** What stands between this node and those, on the way to production. */
  between(node: SVGGElement, others: SVGGElement[]): Set<string> {
    const ahead = reach(this.after, node.id);
    const back = new Set(others.flatMap((other) => [...reach(this.before, other.id)]));
    return new Set([node.id, ...[...ahead].filter((id) => back.has(id))]);
  }

  /** The nodes right beside it. */
  beside(node: SVGGElement): Set<string> {
    return new Set([...(this.before.get(node.id) ?? []), ...(this.after.get(node.id) ?? [])]);
  }

  light(node: SVGGElement | null): void {
    const way = node && this.way(node);
    const lit = way && way.size > 1 ? way : null;
    this.root.classList.toggle("tracing", lit !== null);
    for (const other of this.nodes) other.classList.toggle("lit", lit?.has(other.id) ?? false);
    for (const link of this.links) link.classList.toggle("lit", lit !== null && ends(link).every((end) => lit.has(end)));
  }
}

/** Everything from here on one way; cycles are walked once. */
function reach(next: Map<string, string[]>, start: string): Set<string> {
  const found = new Set([start]);
  for (const id of found) for (const other of next.get(id) ?? []) found.add(other);
  return found;
}

function ends(link: SVGGElement): [string, string] {
  return [link.dataset["from"] ?? "", link.dataset["to"] ?? ""];
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
