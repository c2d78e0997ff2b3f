/** Pan, zoom, fit and the small map of one graph. Knows shapes, not lineage. */

import { select, type Selection } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import { all, calm, made, on, one, type Undo } from "./dom";

/** Fitting makes text smaller than this only when somebody asks for it. */
const READABLE = 0.6;
/** How large a part of a graph is shown that does not fit as a whole. */
const CLOSE = 0.85;
const EDGE = 18;

export type Spot = { x: number; y: number; width: number; height: number };

export class Canvas {
  readonly svg: SVGSVGElement;
  private readonly world: SVGGElement;
  private readonly size: { width: number; height: number };
  private readonly behaviour: ZoomBehavior<SVGSVGElement, unknown>;
  private readonly surface: Selection<SVGSVGElement, unknown, null, undefined>;
  private readonly undo: Undo[] = [];
  private map: { frame: SVGRectElement; box: HTMLElement } | null = null;
  at: ZoomTransform = zoomIdentity;
  /** Whether it is shown as it was fitted: nobody moved it since. */
  fitted = false;
  private parts: Spot[] = [];

  constructor(readonly root: HTMLElement, private readonly moved: (at: ZoomTransform) => void) {
    this.svg = one<SVGSVGElement>("svg.graph", root)!;
    this.world = one<SVGGElement>("[data-world]", this.svg)!;
    const [x = 0, y = 0, width = 1, height = 1] = (this.svg.getAttribute("viewBox") ?? "").split(" ").map(Number);
    this.size = { width: width + 2 * x, height: height + 2 * y };
    for (const name of ["viewBox", "width", "height"]) this.svg.removeAttribute(name);
    this.surface = select(this.svg);
    this.behaviour = zoom<SVGSVGElement, unknown>()
      .scaleExtent([0.05, 3])
      .extent(() => [[0, 0], [this.root.clientWidth, this.root.clientHeight]])
      .filter((event: MouseEvent | WheelEvent) => !event.button && (event.type !== "dblclick"))
      .on("zoom", (event: D3ZoomEvent<SVGSVGElement, unknown>) => this.apply(event.transform));
    this.surface.call(this.behaviour);
    this.drawMap();
    const room = new ResizeObserver(() => this.resized());
    room.observe(root);
    this.undo.push(() => room.disconnect());
  }

  end(): void {
    this.surface.on(".zoom", null);
    this.undo.forEach((undo) => undo());
  }

  /** All of it where it can be read then (or if `whole`), else the first of these parts that
   * can be, else the last of them. */
  fit(whole: boolean, parts: Spot[]): void {
    const all = { x: 0, y: 0, ...this.size };
    const best = whole ? all : [all, ...parts].find((part) => this.scale(part) >= READABLE) ?? parts.at(-1) ?? all;
    if (best === all) this.go(this.centred(this.scale(all), all));
    else this.go(this.filled(this.centred(Math.min(CLOSE, Math.max(READABLE, this.scale(best))), best)));
    this.parts = parts;
    this.fitted = !whole || this.scale(all) >= READABLE;
  }

  private scale(part: Spot): number {
    const { clientWidth: wide, clientHeight: high } = this.root;
    return Math.min(wide / (part.width + 2 * EDGE), high / (part.height + 2 * EDGE), 1.15);
  }

  /** What was fitted and not moved since fits the new room. */
  private resized(): void {
    if (this.fitted) this.fit(false, this.parts);
    else this.showFrame();
  }

  /** Moved as little as it takes that no room beyond the picture is shown: what ends at the
   * edge of the screen then is what the graph ends with. */
  private filled(at: ZoomTransform): ZoomTransform {
    const within = (start: number, size: number, room: number): number => {
      const spare = room - at.k * size;
      if (spare > -2 * EDGE) return spare / 2;
      return Math.min(EDGE, Math.max(start, spare - EDGE));
    };
    const x = within(at.x, this.size.width, this.root.clientWidth);
    const y = within(at.y, this.size.height, this.root.clientHeight);
    return zoomIdentity.translate(x, y).scale(at.k);
  }

  /** As it was before, with this spot where that one was on the screen. */
  hold(before: ZoomTransform, was: Spot, now: Spot): void {
    const [x, y] = [before.x + before.k * (was.x - now.x), before.y + before.k * (was.y - now.y)];
    this.go(zoomIdentity.translate(x, y).scale(before.k));
  }

  /** In words for an address: the middle of the screen and the scale, so that it means the
   * same on another screen; empty while it is as fitted. */
  get words(): string {
    if (this.fitted) return "";
    const [x, y] = this.at.invert([this.root.clientWidth / 2, this.root.clientHeight / 2]);
    return `${x.toFixed(0)},${y.toFixed(0)},${this.at.k.toFixed(2)}`;
  }

  restore(words: string): boolean {
    const [x, y, k] = words.split(",").map(Number);
    if (x === undefined || y === undefined || !k || Number.isNaN(x + y + k)) return false;
    this.go(this.centred(k, { x, y, width: 0, height: 0 }));
    return true;
  }

  by(factor: number): void {
    this.behaviour.scaleBy(this.surface, factor);
  }

  pan(x: number, y: number): void {
    this.behaviour.translateBy(this.surface, x / this.at.k, y / this.at.k);
  }

  /** Moved only if it is not on screen already. */
  reveal(spot: Spot): void {
    this.resized();
    if (!this.shows(spot, 12)) this.go(this.centred(this.at.k, spot));
  }

  shows(spot: Spot, margin = 0): boolean {
    const [left, top] = this.at.apply([spot.x, spot.y]);
    const [right, bottom] = this.at.apply([spot.x + spot.width, spot.y + spot.height]);
    return left >= margin && top >= margin && right <= this.root.clientWidth - margin && bottom <= this.root.clientHeight - margin;
  }

  get showsAll(): boolean {
    return this.shows({ x: 0, y: 0, ...this.size });
  }

  go(to: ZoomTransform): void {
    this.behaviour.transform(this.surface, to);
  }

  private centred(scale: number, spot: Spot): ZoomTransform {
    const { clientWidth: wide, clientHeight: high } = this.root;
    const x = wide / 2 - scale * (spot.x + spot.width / 2);
    const y = high / 2 - scale * (spot.y + spot.height / 2);
    return zoomIdentity.translate(x, y).scale(scale);
  }

  private apply(at: ZoomTransform): void {
    this.at = at;
    this.fitted = false;
    this.world.setAttribute("transform", at.toString());
    this.showFrame();
    this.moved(at);
  }

  /** A picture of the whole in the corner, for graphs larger than the screen. */
  private drawMap(): void {
    const { clientWidth: wide, clientHeight: high } = this.root;
    if (this.size.width < 1.4 * wide && this.size.height < 1.4 * high) return;
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `-20 -20 ${this.size.width + 40} ${this.size.height + 40}`);
    for (const node of all<SVGGElement>(".g-node", this.world)) {
      const { x, y, width, height } = spotOf(node);
      const mark = document.createElementNS(space, "rect");
      for (const [name, value] of Object.entries({ x, y, width, height, rx: 8 })) mark.setAttribute(name, String(value));
      mark.setAttribute("class", `m-node ${node.getAttribute("class") ?? ""}`);
      svg.append(mark);
    }
    const frame = document.createElementNS(space, "rect");
    frame.setAttribute("class", "m-frame");
    svg.append(frame);
    const box = made("div", { class: "map", "aria-hidden": "true" });
    box.append(svg);
    this.root.append(box);
    this.map = { frame, box };
    const jump = (event: PointerEvent): void => {
      if (event.type === "pointermove" && !event.buttons) return;
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM()?.inverse());
      this.go(this.centred(this.at.k, { x: point.x, y: point.y, width: 0, height: 0 }));
    };
    this.undo.push(on(box, "pointerdown", jump), on(box, "pointermove", jump));
  }

  private showFrame(): void {
    if (!this.map) return;
    const { clientWidth: wide, clientHeight: high } = this.root;
    const [x, y] = this.at.invert([0, 0]);
    const shown = { x, y, width: wide / this.at.k, height: high / this.at.k };
    for (const [name, value] of Object.entries(shown)) this.map.frame.setAttribute(name, String(value));
  }
}

/** Where a node is drawn, in the units of the picture. */
export function spotOf(node: SVGGElement): Spot {
  const [x = 0, y = 0] = (node.getAttribute("transform") ?? "").match(/-?[\d.]+/g)?.map(Number) ?? [];
  const box = one<SVGRectElement>(".g-box", node);
  return { x, y, width: Number(box?.getAttribute("width") ?? 0), height: Number(box?.getAttribute("height") ?? 0) };
}

/** The room that several take together. */
export function around(spots: Spot[]): Spot {
  const [x, y] = [Math.min(...spots.map((spot) => spot.x)), Math.min(...spots.map((spot) => spot.y))];
  const [right, bottom] = [Math.max(...spots.map((spot) => spot.x + spot.width)), Math.max(...spots.map((spot) => spot.y + spot.height))];
  return { x, y, width: right - x, height: bottom - y };
}

/** Let what was there before glide to its new place, and what is new fade in. */
export function glide(before: Map<string, Spot>, svg: SVGSVGElement): void {
  if (calm.matches || !before.size) return;
  for (const node of all<SVGGElement>(".g-node[data-id]", svg)) {
    const [old, spot] = [before.get(node.dataset["id"] ?? ""), spotOf(node)];
    if (old) {
      if (old.x === spot.x && old.y === spot.y) continue;
      const move = (at: Spot): Keyframe => ({ transform: `translate(${at.x}px, ${at.y}px)` });
      node.animate([move(old), move(spot)], { duration: 260, easing: "cubic-bezier(.2,.7,.3,1)" });
    } else node.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 320 });
  }
  for (const link of all<SVGGElement>(".g-link", svg)) link.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 320 });
}
