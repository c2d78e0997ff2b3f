/** "3 minutes ago" stays true while the page is open. The same words as ui/words.py. */

import { all } from "./dom";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 86400 * SECOND;
/** Size, word, and how many there must be: "14 months" says more than "1 year". */
const SIZES: [number, string, number][] = [
  [365 * DAY, "year", 2], [30 * DAY, "month", 2], [DAY, "day", 1], [60 * MINUTE, "hour", 1], [MINUTE, "minute", 1], [SECOND, "second", 1],
];

export function ago(then: number, now: number): string {
  const away = Math.abs(now - then);
  if (away < 5 * SECOND) return "just now";
  const [size, word] = SIZES.find(([size, , least]) => away >= size * least) ?? [SECOND, "second"];
  const count = Math.floor(away / size);
  const span = `${count} ${word}${count === 1 ? "" : "s"}`;
  return now >= then ? `${span} ago` : `in ${span}`;
}

/** Only where the page is about now. */
export function refresh(): void {
  if (document.body.classList.contains("past")) return;
  for (const time of all<HTMLTimeElement>("time[data-ago]")) {
    const moment = Date.parse(time.dateTime);
    const said = Number.isNaN(moment) ? time.textContent : ago(moment, Date.now());
    if (time.textContent !== said) time.textContent = said;
  }
}
