/** Live mode: what is recorded appears, as the server says it was. */

import { all, debounced, one, type Undo } from "./dom";
import { visit } from "./page";

const KEY = "live-mode";

/** Pages that say so are made again when something was recorded. */
export function stream(): Undo {
  const switch_ = one<HTMLButtonElement>("#live-mode");
  if (!switch_ || document.body.classList.contains("past")) return () => undefined;
  switch_.hidden = false;
  let source: EventSource | null = null;
  const show = (): void => {
    switch_.setAttribute("aria-pressed", String(source !== null));
    document.body.classList.toggle("streaming", source !== null);
  };
  const again = debounced(150, () => {
    const known = new Set(all("[data-id]").map((node) => node.dataset["id"]));
    void visit(new URL(location.href), { replace: true, quiet: true }).then(() => {
      for (const node of all("[data-id]")) if (!known.has(node.dataset["id"])) node.classList.add("fresh");
    });
  });
  const start = (): void => {
    source = new EventSource("/api/v1/events");
    source.addEventListener("recorded", again);
    source.onerror = () => switch_.classList.add("away");
    source.onopen = () => switch_.classList.remove("away");
    show();
  };
  const stop = (): void => {
    source?.close();
    source = null;
    show();
  };
  switch_.onclick = () => {
    if (source) stop();
    else start();
    localStorage.setItem(KEY, source ? "on" : "off");
  };
  if ((localStorage.getItem(KEY) ?? switch_.dataset["default"]) === "on") start();
  return stop;
}
