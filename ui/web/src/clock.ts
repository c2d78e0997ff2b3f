/** The slider over the recorded past: drag it, and the page shows that moment. */

import { all, debounced, on, one, type Undo } from "./dom";
import { changed, visit } from "./page";

export function clock(): Undo {
  const slider = one<HTMLInputElement>("#time input[type=range]");
  const label = one<HTMLOutputElement>("#time output");
  if (!slider) return () => undefined;
  const moments = (slider.dataset["moments"] ?? "").split(" ");
  // Behind the last step it is now.
  const moment = (): string => moments[Number(slider.value)] ?? "";
  const go = debounced(120, () => void visit(changed({ as_of: moment() }), { replace: true, quiet: true }));
  return on(slider, "input", () => {
    all("#time .tick").forEach((tick, n) => tick.classList.toggle("later", n > Number(slider.value)));
    if (label) label.value = moment() ? moment().replace("T", " ").replace(/:\d\dZ$/, " UTC") : "Now";
    go();
  });
}
