/** Tables: sorted by a column, narrowed by a text, saved as CSV. Only what is on the page. */

import { all, made, one, say } from "./dom";

const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export function tables(): void {
  for (const table of all<HTMLTableElement>("table[data-sortable]")) {
    all<HTMLTableCellElement>("thead th", table).forEach((head, column) => {
      if (!head.textContent?.trim()) return;
      const button = made("button", { type: "button", class: "sort" }, ...head.childNodes);
      button.onclick = () => sort(table, column, head, head.getAttribute("aria-sort") === "ascending");
      head.replaceChildren(button);
    });
    tools(table);
  }
}

export function sort(table: HTMLTableElement, column: number, head: HTMLTableCellElement, down: boolean): void {
  for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0]!;
  const rows = [...body.rows].sort((a, b) => order.compare(value(a, column), value(b, column)) * (down ? -1 : 1));
  body.append(...rows);
}

/** What a cell is sorted by and saved as: its exact value, where it shows a short one. */
function value(row: HTMLTableRowElement, column: number): string {
  const cell = row.cells[column];
  if (!cell) return "";
  const exact = one<HTMLElement>("[data-value], time", cell);
  return cell.dataset["value"] ?? exact?.dataset["value"] ?? exact?.getAttribute("datetime") ?? cell.textContent?.trim().replace(/\s+/g, " ") ?? "";
}

function tools(table: HTMLTableElement): void {
  if (table.tBodies[0]!.rows.length < 6) return;
  const input = made("input", { type: "search", placeholder: "Filter these rows", "aria-label": "Filter these rows" });
  input.oninput = () => narrow(table, input.value);
  const save = made("button", { type: "button" }, "CSV");
  save.onclick = () => csv(table);
  const bar = made("div", { class: "table-tools" }, input, save);
  (table.closest(".scroll") ?? table).before(bar);
}

/** Only the rows that hold every one of these words. */
export function narrow(table: HTMLTableElement, text: string): void {
  const words = text.toLowerCase().split(/\s+/);
  for (const row of table.tBodies[0]!.rows) row.hidden = !words.every((word) => row.textContent!.toLowerCase().includes(word));
}

function csv(table: HTMLTableElement): void {
  // A cell that begins like a formula would be run by a spreadsheet.
  const cell = (text: string): string => `"${(/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map((_, n) => cell(value(row, n))).join(","));
  const link = made("a", { download: `${document.title.replace(/[^\w.-]+/g, "-")}.csv`, href: URL.createObjectURL(new Blob([rows.join("\r\n")], { type: "text/csv" })) });
  link.click();
  URL.revokeObjectURL(link.href);
  say(`${rows.length - 1} rows saved.`);
}

/** A row of the board opens wherever it is clicked, but for its links and a selected text. */
export function rows(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const fold = one<HTMLDetailsElement>("details.fold", target.closest(".row .cells") ?? document.createElement("div"));
    if (fold && !target.closest("a, summary") && getSelection()?.isCollapsed !== false) fold.open = !fold.open;
  });
}
