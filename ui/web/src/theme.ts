/** Light, dark, or as the system says. A cookie keeps it, so the server sends the right page. */

import { one, say } from "./dom";

const NEXT: Record<string, string> = { "": "dark", dark: "light", light: "" };
const WORDS: Record<string, string> = { "": "as the system says", dark: "dark", light: "light" };

export function theme(): void {
  const button = one<HTMLButtonElement>("#theme");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const chosen = NEXT[root.dataset["theme"] ?? ""] ?? "";
    if (chosen) root.dataset["theme"] = chosen;
    else delete root.dataset["theme"];
    document.cookie = `theme=${chosen}; path=/; max-age=${chosen ? 31536000 : 0}; samesite=lax`;
    say(`Theme: ${WORDS[chosen]}`);
  });
}
