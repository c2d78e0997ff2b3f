/** The panel at the side: one thing in short, without leaving the page. */

import { made, on, one } from "./dom";

const WIDTH = "panel-width";
let closed: () => void = () => undefined;
let back: HTMLElement | SVGElement | null = null;
let loading: AbortController | null = null;

/** Whether it arrived: not, when another was asked for or it was closed meanwhile. */
export async function openPanel(address: string, whenClosed: () => void): Promise<boolean> {
  loading?.abort();
  const mine = (loading = new AbortController());
  const panel = place();
  closed = whenClosed;
  if (!panel.contains(document.activeElement)) back = document.activeElement as HTMLElement | SVGElement | null;
  const wait = window.setTimeout(() => panel.classList.add("waiting"), 150);
  try {
    const answer = await fetch(address, { signal: mine.signal, headers: { accept: "text/html" } });
    const text = await answer.text();
    if (mine.signal.aborted) return false;
    const found = new DOMParser().parseFromString(text, "text/html");
    const body = one("[data-panel]", found) ?? made("p", { class: "muted" }, "There is nothing to show here.");
    one(".panel-body", panel)!.replaceChildren(document.adoptNode(body));
    panel.hidden = false;
    document.body.classList.add("with-panel");
    return true;
  } catch {
    if (mine.signal.aborted) return false;
    one(".panel-body", panel)!.replaceChildren("The server did not answer. Select it again to retry.");
    panel.hidden = false;
    return true;
  } finally {
    window.clearTimeout(wait);
    if (loading === mine) {
      loading = null;
      panel.classList.remove("waiting");
    }
  }
}

/** Whether there was one to close; one that is still on its way does not arrive. */
export function closePanel(): boolean {
  const panel = one("#panel");
  const coming = loading !== null;
  loading?.abort();
  loading = null;
  if (!panel || (panel.hidden && !coming)) return false;
  panel.classList.remove("waiting");
  panel.hidden = true;
  document.body.classList.remove("with-panel");
  closed();
  if (back?.isConnected) back.focus();
  return true;
}

function place(): HTMLElement {
  const known = one("#panel");
  if (known) return known;
  const close = made("button", { class: "quiet-button close", type: "button", "aria-label": "Close the panel" }, "×");
  const handle = made("div", { class: "handle", role: "separator", "aria-orientation": "vertical", "aria-label": "Width of the panel", "aria-valuenow": "360", "aria-valuemin": "260", "aria-valuemax": "1400", tabindex: "0" });
  const panel = made("aside", { id: "panel", "aria-label": "Details", hidden: "" }, handle, close, made("div", { class: "panel-body" }));
  document.body.append(panel);
  close.addEventListener("click", closePanel);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closePanel();
  });
  resizable(panel, handle);
  return panel;
}

function resizable(panel: HTMLElement, handle: HTMLElement): void {
  const set = (width: number): void => {
    const wide = Math.round(Math.min(Math.max(width, 260), window.innerWidth * 0.7));
    document.documentElement.style.setProperty("--panel-width", `${wide}px`);
    handle.setAttribute("aria-valuenow", String(wide));
    localStorage.setItem(WIDTH, String(wide));
  };
  const kept = Number(localStorage.getItem(WIDTH));
  if (kept) set(kept);
  on(handle, "pointerdown", (down) => {
    handle.setPointerCapture(down.pointerId);
    const move = on(handle, "pointermove", (event) => set(window.innerWidth - event.clientX));
    on(handle, "pointerup", () => move(), { once: true });
  });
  on(handle, "keydown", (event) => {
    const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
    if (step) set(panel.offsetWidth + step);
  });
}
