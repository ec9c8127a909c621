import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

type Triple = readonly [number, number, number];
type Matrix = readonly [Triple, Triple, Triple];

/** Complete colour blindness of each kind, in linear RGB (Machado, Oliveira and Fernandes 2009). */
const eyes: Readonly<Record<string, Matrix>> = {
  usual: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

/** Least distance in OKLab at which two hues are told apart side by side. */
const distinct = 0.09;

const css = readFileSync(new URL("./styles.css", import.meta.url), "utf8");

function tokens(theme: "light" | "dark"): (name: string) => string {
  const block = css.slice(css.indexOf(`:root.${theme} {`)).split("}")[0] ?? "";
  return (name) => {
    const found = new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(block)?.[1];
    if (found === undefined) throw new Error(`${theme} has no --${name}`);
    return found;
  };
}

function linear(hex: string): Triple {
  const part = (at: number) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [part(1), part(3), part(5)];
}

const dot = (row: Triple, [r, g, b]: Triple) => row[0] * r + row[1] * g + row[2] * b;

function oklab(colour: Triple): Triple {
  const [r, g, b] = colour.map((part) => Math.min(1, Math.max(0, part))) as unknown as Triple;
  const cone = (row: Triple) => Math.cbrt(dot(row, [r, g, b]));
  const lms: Triple = [cone([0.4122214708, 0.5363325363, 0.0514459929]), cone([0.2119034982, 0.6806995451, 0.1073969566]), cone([0.0883024619, 0.2817188376, 0.6299787005])];
  return [dot([0.2104542553, 0.793617785, -0.0040720468], lms), dot([1.9779984951, -2.428592205, 0.4505937099], lms), dot([0.0259040371, 0.7827717662, -0.808675766], lms)];
}

function distance(a: string, b: string, eye: Matrix): number {
  const seen = (hex: string) => oklab([dot(eye[0], linear(hex)), dot(eye[1], linear(hex)), dot(eye[2], linear(hex))]);
  const [left, right] = [seen(a), seen(b)];
  return Math.hypot(left[0] - right[0], left[1] - right[1], left[2] - right[2]);
}

function contrast(a: string, b: string): number {
  const light = (hex: string) => dot([0.2126, 0.7152, 0.0722], linear(hex)) + 0.05;
  const [one, other] = [light(a), light(b)];
  return Math.max(one, other) / Math.min(one, other);
}

const together = [
  ["series-p50", "series-p95", "series-p99", "series-avg"],
  ["series-requests", "series-errors"],
  ["event-1", "event-2", "event-3", "event-4", "event-other"],
];

describe.each(["light", "dark"] as const)("the %s palette", (theme) => {
  const token = tokens(theme);

  test.each(together.flat().concat("series-users"))("draws %s at 3:1 or more", (name) => {
    expect(contrast(token(name), token("card"))).toBeGreaterThanOrEqual(3);
  });

  test.each(["foreground", "muted-foreground", "destructive", "warning", "link"])("writes %s at 4.5:1 or more", (name) => {
    for (const ground of ["card", "background", "popover"]) expect(contrast(token(name), token(ground)), ground).toBeGreaterThanOrEqual(4.5);
  });

  test.each(Object.keys(eyes))("keeps the series of a chart apart for %s eyes", (eye) => {
    for (const names of together) {
      const pairs = names.flatMap((a, index) => names.slice(index + 1).map((b) => [a, b] as const));
      for (const [a, b] of pairs) expect(distance(token(a), token(b), eyes[eye] as Matrix), `${a} and ${b}`).toBeGreaterThanOrEqual(distinct);
    }
  });
});
