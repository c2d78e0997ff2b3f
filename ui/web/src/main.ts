/** Starts what a page has; runs again whenever the page was changed. */

import { clock } from "./clock";
import { complete } from "./complete";
import { type Undo } from "./dom";
import { copyLink, graph } from "./graph";
import { keep } from "./keep";
import { menus } from "./menus";
import { pages } from "./page";
import { palette } from "./palette";
import { closePanel } from "./panel";
import { stream } from "./stream";
import { rows, tables } from "./tables";
import { theme } from "./theme";
import { refresh } from "./times";
import { walk } from "./walk";

let undo: Undo[] = [];
let again: () => void = () => undefined;

function start(quiet: boolean): void {
  undo = [graph(quiet), clock(), stream(), complete()];
  walk();
  copyLink();
  tables();
  refresh();
  if (quiet) again();
}

document.documentElement.classList.add("js");
theme();
palette();
rows();
menus();
pages(
  (quiet) => {
    if (quiet) again = keep();
    else closePanel();
    undo.forEach((end) => end());
  },
  start,
);
window.setInterval(refresh, 15_000);
start(false);
