import { describe, expect, test } from "vitest";

import { formatSort, nextSort, parseSort, sorted } from "./sorting";

test("a sort survives the address", () => {
  for (const text of ["p95", "-p95"]) expect(formatSort(parseSort(text))).toBe(text);
});

describe("a click on a title", () => {
  test("starts numbers with the largest and texts with A", () => {
    expect(nextSort(parseSort("path"), "p95", true).direction).toBe("descending");
    expect(nextSort(parseSort("-p95"), "path", false).direction).toBe("ascending");
  });
  test("turns the order the second time", () => expect(nextSort(parseSort("-p95"), "p95", true).direction).toBe("ascending"));
});

describe("sorting", () => {
  const rows = [{ name: "b10", n: 2 }, { name: "b9", n: null }, { name: "a", n: 2 }, { name: "c", n: 1 }];
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

  test("puts what is not known last in both directions", () => {
    expect(names(sorted(rows, (row) => row.n, "ascending"))).toEqual(["c", "b10", "a", "b9"]);
    expect(names(sorted(rows, (row) => row.n, "descending"))).toEqual(["b10", "a", "c", "b9"]);
  });
  test("reads numbers inside texts", () => expect(names(sorted(rows, (row) => row.name, "ascending"))).toEqual(["a", "b9", "b10", "c"]));
  test("leaves the rows it was given alone", () => {
    sorted(rows, (row) => row.name, "ascending");
    expect(rows[0]?.name).toBe("b10");
  });
});
