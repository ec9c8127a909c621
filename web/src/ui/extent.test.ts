import { expect, test } from "vitest";

import { time } from "@/format/time";

import { extent } from "./extent";

const start = new Date("2024-05-01T10:00:00Z");
const later = new Date("2024-05-07T08:00:00Z");

test("a list of the range's last rows says since when", () => expect(extent({ usersFrom: later, start })).toBe(`only since ${time(later, "moment")}`));
test("a list of all rows says so", () => expect(extent({ usersFrom: start, start })).toBe("of the whole range"));
test("without rows there is nothing to say", () => expect(extent({ usersFrom: null, start })).toBeUndefined());
