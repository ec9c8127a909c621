import { expect, test } from "vitest";

import { pieces } from "./sparkline";

test("gaps break the line", () => expect(pieces([1, 2, null, 3, 4], 4).length).toBe(2));
test("a value between gaps is a dot", () => expect(pieces([null, 2, null], 4)).toEqual(["50.0,12.0 50.0,12.0"]));
test("nothing but gaps draws nothing", () => expect(pieces([null, null], 1)).toEqual([]));
