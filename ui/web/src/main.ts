/** Starts what a page has; runs again whenever the page was changed. */

import { clock } from "./clock";
import { complete } from "./complete";
import { type Undo } from "./dom";
import { copyLink, graph } from "./graph";
import { pages } from "./page";
import { palette } from "./palette";
import { closePanel } from "./panel";
import { stream } from "./stream";
import { rows, tables } from "./tables";
import { theme } from "./theme";
import { refresh } from "./times";

let undo: Undo[] = [];

function start(quiet: boolean): void {
  undo = [graph(quiet), clock(), stream(), complete()];
  copyLink();
  tables();
  refresh();
}

document.documentElement.classList.add("js");
theme();
palette();
rows();
pages(
  (quiet) => {
    if (!quiet) closePanel();
    undo.forEach((end) => end());
  },
  start,
);
window.setInterval(refresh, 15_000);
start(false);
