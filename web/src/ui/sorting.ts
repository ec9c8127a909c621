import type { CsvValue } from "@/format/csv";

export type Direction = "ascending" | "descending";

export interface Sort {
  readonly key: string;
  readonly direction: Direction;
}

/** `-p95` is descending by p95. */
export function parseSort(text: string): Sort {
  return text.startsWith("-") ? { key: text.slice(1), direction: "descending" } : { key: text, direction: "ascending" };
}

export function formatSort({ key, direction }: Sort): string {
  return direction === "descending" ? `-${key}` : key;
}

/** What a click on a column's title asks for: numbers start with the largest, texts with A, a second click turns. */
export function nextSort(now: Sort, key: string, numeric: boolean): Sort {
  if (now.key !== key) return { key, direction: numeric ? "descending" : "ascending" };
  return { key, direction: now.direction === "ascending" ? "descending" : "ascending" };
}

const texts = new Intl.Collator("en", { numeric: true });

/** Sorted by a value of each row; what is not known comes last in both directions; equals keep their order. */
export function sorted<Row>(rows: readonly Row[], value: (row: Row) => CsvValue, direction: Direction): Row[] {
  const sign = direction === "ascending" ? 1 : -1;
  return [...rows].sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : texts.compare(String(a), String(b)));
  });
}
