import { time } from "@/format/time";
import type { Trust } from "@/series/trust";

/** Which part of its range a list of users is of: a long range lists those of its last rows alone, and says so. */
export function extent({ usersFrom, start }: Pick<Trust, "usersFrom" | "start">): string | undefined {
  if (usersFrom === null) return undefined;
  return usersFrom > start ? `only since ${time(usersFrom, "moment")}` : "of the whole range";
}
