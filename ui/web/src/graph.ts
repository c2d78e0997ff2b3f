/** The graph of a page: what hovering, selecting, keys and the tools do with it. */

import type { ZoomTransform } from "d3-zoom";

import { around, Canvas, glide, spotOf, type Spot } from "./canvas";
import { all, debounced, on, one, say, typing, type Undo } from "./dom";
import { changed, keeping, visit } from "./page";
import { closePanel, openPanel } from "./panel";
import { Trace } from "./trace";

type Node = SVGGElement;

/** The last picture, for the next one to begin from: where things were, how it was looked at, and
 * the spot that somebody looked at most. `opened`: something was opened or folded; `byKey`: by
 * who stood on it. */
type Last = { spots: Map<string, Spot>; at: ZoomTransform; fitted: boolean; about: Spot | null; opened: boolean; byKey: boolean; chosen: string | null };
let last: Last | null = null;

export function graph(quiet: boolean): Undo {
  const root = one<HTMLElement>("[data-graph]");
  if (!root || !one("[data-world]", root)) return () => undefined;
  const here = new GraphPage(root, quiet);
  return () => here.end();
}

class GraphPage {
  private readonly canvas: Canvas;
  private readonly nodes: Node[];
  private readonly trace: Trace;
  private readonly undo: Undo[] = [];
  private current: Node | null = null;
  private opening: Node | null = null;

  constructor(private readonly root: HTMLElement, quiet: boolean) {
    const note = debounced(250, () => this.note());
    this.canvas = new Canvas(root, () => note());
    this.nodes = all<Node>(".g-node", root);
    this.trace = new Trace(root, this.nodes);
    this.place(quiet);
    glide((quiet && last?.spots) || new Map(), this.canvas.svg);
    this.listen();
    const selected = new URLSearchParams(location.search).get("selected");
    this.choose(this.find(selected ?? (quiet ? last?.chosen ?? null : null)) ?? this.focus(), false);
    if (selected) void this.panel();
    const fresh = quiet && last?.opened ? this.fresh() : [];
    // Whoever opened a stack by its key stands on it no more: go on at what came out of it.
    if (fresh[0] && last?.byKey) this.choose(fresh[0], true);
    else if (fresh[0] && !fresh.some((node) => this.canvas.shows(spotOf(node)))) this.canvas.reveal(spotOf(fresh[0]));
  }

  end(): void {
    const { opening, current, canvas: { at, fitted } } = this;
    const spots = new Map(this.nodes.filter((node) => node.dataset["id"]).map((node) => [node.dataset["id"]!, spotOf(node)]));
    const about = this.about();
    last = {
      spots, at, fitted, about: about ? spotOf(about) : null, chosen: current?.dataset["id"] ?? null,
      opened: opening !== null, byKey: opening !== null && opening === current && isStack(opening),
    };
    this.undo.forEach((undo) => undo());
    this.canvas.end();
  }

  /** What somebody looks at: what that hangs on which is being opened, else it, else the chosen one. */
  private about(): Node | null {
    const beside = this.opening && isStack(this.opening) ? this.trace.beside(this.opening) : new Set();
    return this.nodes.find((node) => beside.has(node.id)) ?? this.opening ?? this.current ?? this.focus();
  }

  /** Nodes that the last picture did not have, the nearest to what was opened first. */
  private fresh(): Node[] {
    const at = last!.about;
    const away = (node: Node): number => (at ? distance(spotOf(node), at) : 0);
    return this.nodes.filter((node) => !isStack(node) && !last!.spots.has(node.dataset["id"] ?? "")).sort((a, b) => away(a) - away(b));
  }

  /** What one looked at stays where it was; else as the address says, else fitted. */
  private place(quiet: boolean): void {
    const said = new URLSearchParams(location.search).get("at") ?? "";
    if (quiet && last) {
      const near = nearest(this.nodes.filter((node) => !isStack(node) && last!.spots.has(node.dataset["id"] ?? "")), last);
      if (near) this.canvas.hold(last.at, last.spots.get(near.dataset["id"]!)!, spotOf(near));
      // What nobody moved shows what is new as well, unless somebody just opened something.
      if (near && (last.opened || !last.fitted || this.canvas.showsAll)) return;
    } else if (said && this.canvas.restore(said)) return;
    this.fit(false);
  }

  /** All of it, else the way through what matters, else its way on to production, else itself. */
  private fit(whole: boolean): void {
    const focus = this.current ?? this.focus();
    if (!focus) return this.canvas.fit(whole, []);
    const live = this.nodes.filter((node) => one(".g-live", node));
    const ways = [this.trace.way(focus), this.trace.between(focus, live), new Set([focus.id])];
    this.canvas.fit(whole, ways.map((way) => around(this.nodes.filter((node) => way.has(node.id)).map(spotOf))));
  }

  private listen(): void {
    const { root, undo } = this;
    undo.push(on(root, "pointerover", (event) => this.trace.light(nodeAt(event))));
    undo.push(on(root, "pointerleave", () => this.trace.light(null)));
    undo.push(on(root, "focusin", (event) => this.trace.light(nodeAt(event))));
    undo.push(on(root, "focusout", () => this.trace.light(null)));
    undo.push(on(root, "click", (event) => this.click(event)));
    undo.push(on(root, "dblclick", (event) => this.recentre(nodeAt(event), event)));
    undo.push(on(document, "keydown", (event) => this.key(event)));
    for (const button of all<HTMLButtonElement>("[data-zoom]")) {
      button.hidden = false;
      undo.push(on(button, "click", () => this.tool(button.dataset["zoom"] ?? "")));
    }
  }

  private click(event: MouseEvent): void {
    const node = nodeAt(event);
    if (!node || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (isStack(node)) return this.unfold(node, event);
    event.preventDefault();
    this.choose(node, true);
    void this.panel();
  }

  private unfold(stack: Node, event: Event): void {
    event.preventDefault();
    this.opening = stack;
    void visit(keeping(new URL(stack.dataset["open"]!, location.href)), { quiet: true });
  }

  /** What hangs on the chosen node goes behind it, but for the way that leads to it; or comes back. */
  private fold(): void {
    const id = this.current?.dataset["id"];
    if (!id || isStack(this.current!)) return;
    const folded = foldedIn(location.href);
    if (!folded.delete(id)) folded.add(id);
    this.opening = this.current;
    void visit(changed({ fold: [...folded].join(",") }), { quiet: true });
  }

  private recentre(node: Node | null, event: Event): void {
    const href = node?.dataset["href"];
    if (!href) return;
    event.preventDefault();
    void visit(new URL(href, location.href));
  }

  private key(event: KeyboardEvent): void {
    if (typing(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
    const inside = this.root.contains(document.activeElement) || document.activeElement === document.body || document.activeElement?.id === "main";
    if (!inside) return;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) this.step(way[0]!, way[1]!);
    else if (event.key === "Enter" && this.current && document.activeElement !== this.root) this.enter(event);
    else if (event.key === " ") void this.panel();
    else if (event.key === "x") this.fold();
    else if (event.key === "Escape") this.clear();
    else if ("+=-0f".includes(event.key)) this.tool({ "+": "in", "=": "in", "-": "out", "0": "fit", f: "whole" }[event.key]!);
    else return;
    event.preventDefault();
  }

  private enter(event: Event): void {
    if (isStack(this.current!)) this.unfold(this.current!, event);
    else this.recentre(this.current, event);
  }

  private tool(name: string): void {
    if (name === "in") this.canvas.by(1.25);
    else if (name === "out") this.canvas.by(0.8);
    else this.fit(name === "whole");
  }

  /** To the nearest node in this direction. */
  private step(right: number, down: number): void {
    const from = spotOf(this.current ?? this.focus() ?? this.nodes[0]!);
    let best: [number, Node] | null = null;
    for (const node of this.nodes) {
      const spot = spotOf(node);
      const [x, y] = [spot.x + spot.width / 2 - from.x - from.width / 2, spot.y + spot.height / 2 - from.y - from.height / 2];
      const along = x * right + y * down;
      const aside = Math.abs(x * down + y * right);
      if (along < 8 || node === this.current) continue;
      const cost = along + 2.5 * aside;
      if (!best || cost < best[0]) best = [cost, node];
    }
    if (best) this.choose(best[1], true);
  }

  private choose(node: Node | null, focus: boolean): void {
    for (const other of this.nodes) {
      other.classList.toggle("selected", other === node && focus);
      anchor(other)?.setAttribute("tabindex", other === node ? "0" : "-1");
    }
    this.current = node;
    if (!node || !focus) return;
    anchor(node)?.focus({ preventScroll: true });
    this.canvas.reveal(spotOf(node));
    if (one("#panel:not([hidden])")) void this.panel();
  }

  private async panel(): Promise<void> {
    const about = this.current?.dataset["panel"];
    if (!about) return;
    this.current!.classList.add("selected");
    history.replaceState(history.state, "", changed({ selected: this.current!.dataset["id"] ?? "" }));
    const arrived = await openPanel(about, () => {
      this.current?.classList.remove("selected");
      history.replaceState(history.state, "", changed({ selected: "" }));
    });
    if (!arrived || !this.current) return;
    this.canvas.reveal(spotOf(this.current));
    const button = one<HTMLButtonElement>("#panel [data-fold-here]");
    if (!button) return;
    if (foldedIn(location.href).has(this.current.dataset["id"] ?? "")) button.textContent = "Unfold";
    button.onclick = () => this.fold();
  }

  private clear(): void {
    if (closePanel()) return;
    this.trace.light(null);
  }

  private note(): void {
    // The address may be another page's by now.
    if (!this.canvas.svg.isConnected) return;
    const url = changed({ at: this.canvas.words });
    if (url.href !== location.href) history.replaceState(history.state, "", url);
  }

  private focus(): Node | null {
    return one<Node>(".g-node.g-focus", this.root);
  }

  private find(id: string | null): Node | null {
    return id ? this.nodes.find((node) => node.dataset["id"] === id) ?? null : null;
  }
}

function nodeAt(event: Event): Node | null {
  return (event.target as Element | null)?.closest?.<Node>(".g-node") ?? one<Node>(":scope > .g-node", (event.target as Element) ?? document);
}

/** Of the nodes that were there before, the one nearest to where somebody looked. */
function nearest(nodes: Node[], { spots, about: at }: Last): Node | null {
  const away = (node: Node): number => (at ? distance(spots.get(node.dataset["id"]!)!, at) : 0);
  return nodes.reduce<Node | null>((best, node) => (best && away(best) <= away(node) ? best : node), null);
}

function distance(one: Spot, other: Spot): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}

function isStack(node: Node): boolean {
  return node.dataset["open"] !== undefined;
}

function foldedIn(address: string): Set<string> {
  return new Set(new URL(address).searchParams.get("fold")?.split(",").filter(Boolean));
}

function anchor(node: Node): SVGAElement | null {
  return node.closest<SVGAElement>("a");
}

/** Copy the address of the view as it is. */
export function copyLink(): void {
  for (const button of all<HTMLButtonElement>("[data-copy]")) {
    button.hidden = false;
    button.onclick = async () => {
      const text = button.dataset["copy"] || location.href;
      await navigator.clipboard.writeText(text).then(() => say("Copied."), () => say("The browser did not let us copy."));
    };
  }
}
