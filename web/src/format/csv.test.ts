import { expect, test } from "vitest";

import { toCsv } from "./csv";

test("quotes what would break a row", () => {
  expect(toCsv(["a", "b"], [['say "hi"', "one,two"], ["line\nbreak", null]])).toBe('\uFEFFa,b\r\n"say ""hi""","one,two"\r\n"line\nbreak",\r\n');
});

test("keeps numbers whole, negative ones too", () => {
  expect(toCsv(["n"], [[-0.30000000000000004], [12345678.9]])).toBe("\uFEFFn\r\n-0.30000000000000004\r\n12345678.9\r\n");
});

test("disarms what a spreadsheet would run", () => {
  expect(toCsv(["x"], [["=1+1"], ["@cmd"], ["-rm"], ["fine"]])).toBe("\uFEFFx\r\n'=1+1\r\n'@cmd\r\n'-rm\r\nfine\r\n");
});
