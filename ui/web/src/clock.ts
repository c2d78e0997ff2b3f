/** The slider over the recorded past: drag it, and the page shows that moment. */

import { debounced, on, one, type Undo } from "./dom";
import { changed, visit } from "./page";

export function clock(): Undo {
  const slider = one<HTMLInputElement>("#time input[type=range]");
  const label = one<HTMLOutputElement>("#time output");
  if (!slider) return () => undefined;
  const last = Number(slider.max);
  // Steps are seconds since 1970; the last one is now.
  const moment = (): string => (Number(slider.value) >= last ? "" : new Date(Number(slider.value) * 1000).toISOString().replace(".000", ""));
  const go = debounced(120, () => void visit(changed({ as_of: moment() }), { replace: true, quiet: true }).then(refocus));
  return on(slider, "input", () => {
    if (label) label.value = moment() ? moment().replace("T", " ").replace(/:\d\dZ$/, " UTC") : "Now";
    go();
  });
}

/** The slider was swapped with the page; whoever holds it goes on. */
function refocus(): void {
  one<HTMLInputElement>("#time input[type=range]")?.focus({ preventScroll: true });
}
