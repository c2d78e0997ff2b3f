/** Menus close as menus do: by Escape, which gives the focus back, and by a click elsewhere. */

import { all, one } from "./dom";

export function menus(): void {
  const open = (): HTMLDetailsElement[] => all<HTMLDetailsElement>("details.menu[open]");
  document.addEventListener("pointerdown", (event) => {
    for (const menu of open()) menu.open = menu.contains(event.target as Node);
  });
  document.addEventListener("keydown", (event) => {
    const [menu] = event.key === "Escape" ? open() : [];
    if (!menu) return;
    menu.open = false;
    if (menu.contains(document.activeElement)) one("summary", menu)?.focus();
  });
}
